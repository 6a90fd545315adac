"""`variegate package`: the trained model for programs that know nothing of this project.

package     the folder, file by file, written beside and renamed
exports     the model as ONNX and as torch's exported program
agreement   exported models compared with the weights on real images
preprocess  how image files become the model's input; a program of its own, copied into the folder
check       the folder checked where it is used; a program of its own, copied into the folder
model_card  README.md of the folder: what the model is, how good, where its limits are
"""

//! Output tensors to detections or classes of the picture. Owns the reading of every family's outputs, the
//! threshold, NMS and the way back to picture pixels; knows nothing of how the tensors came to be.

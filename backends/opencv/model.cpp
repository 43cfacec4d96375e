// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "failure.h"

namespace vaccel::opencv {
namespace {

// Both sides of the graph must be what OpenCV computes with.
std::vector<vaccel_tensor_info> describe(const char* kind, const std::vector<OnnxValue>& values) {
  std::vector<vaccel_tensor_info> infos;
  for (const OnnxValue& value : values) {
    if (value.element != kOnnxFloat) {
      refuse(VACCEL_UNIMPLEMENTED, "%s '%s' is %s; OpenCV's DNN takes and gives tensors of float32 alone",
             kind, value.name.c_str(),
             value.element == kOnnxNone ? "no tensor" : onnx_element_name(value.element).c_str());
    }
    if (!value.any_rank && value.shape.empty()) {
      refuse(VACCEL_UNIMPLEMENTED, "%s '%s' is a scalar; OpenCV's DNN has tensors of rank 1 and more", kind,
             value.name.c_str());
    }
    infos.push_back({value.name.c_str(), value.shape.data(),
                     value.any_rank ? -1 : static_cast<int32_t>(value.shape.size()), VACCEL_FLOAT32});
  }
  return infos;
}

std::vector<cv::String> names_of(const std::vector<OnnxValue>& values) {
  std::vector<cv::String> names;
  for (const OnnxValue& value : values)
    names.push_back(value.name);
  return names;
}

cv::dnn::Net read_net(std::string_view bytes, int64_t opset, int target) {
  try {
    cv::dnn::Net net = cv::dnn::readNetFromONNX(bytes.data(), bytes.size());
    if (net.empty()) refuse(VACCEL_INVALID_ARGUMENT, "OpenCV reads nothing from the model");
    net.setPreferableBackend(cv::dnn::DNN_BACKEND_OPENCV);
    net.setPreferableTarget(target);
    return net;
  } catch (const cv::Exception& exception) {
    if (exception.code == cv::Error::StsNoMem) throw;
    refuse(VACCEL_INVALID_ARGUMENT, "OpenCV %s refuses the model (ONNX opset %lld): %s",
           cv::getVersionString().c_str(), static_cast<long long>(opset), words_of(exception).c_str());
  }
}

// The memory of an input, as OpenCV sees it. It is only ever read.
cv::Mat wrap(const vaccel_tensor& tensor) {
  std::vector<int> sizes;
  for (int32_t axis = 0; axis < tensor.rank; ++axis) {
    const int64_t size = tensor.shape[axis];
    if (size < 1 || size > std::numeric_limits<int>::max()) {
      refuse(VACCEL_INVALID_ARGUMENT, "input '%s' has %lld in dimension %d; OpenCV's DNN takes 1 to %d",
             tensor.name != nullptr ? tensor.name : "", static_cast<long long>(size), axis,
             std::numeric_limits<int>::max());
    }
    sizes.push_back(static_cast<int>(size));
  }
  return {tensor.rank, sizes.data(), CV_32F, const_cast<void*>(tensor.data)};
}

// The shape of a result: as the file says where the result fits it, since OpenCV makes matrices of vectors; else as it
// came. One dimension of any size follows from the others.
std::vector<int64_t> shape_of(const cv::Mat& result, const OnnxValue& declared) {
  std::vector<int64_t> own(result.size.p, result.size.p + result.dims);
  const auto fits = [&](int64_t fixed, int64_t actual) { return fixed == -1 || fixed == actual; };
  if (declared.any_rank ||
      std::equal(declared.shape.begin(), declared.shape.end(), own.begin(), own.end(), fits)) {
    return own;
  }
  const auto total = static_cast<int64_t>(result.total());
  std::vector<int64_t> shape = declared.shape;
  int64_t known = 1;
  int64_t* unknown = nullptr;
  for (int64_t& size : shape) {
    if (size == -1 && unknown != nullptr) return own;
    if (size == -1) {
      unknown = &size;
    } else if (size == 0 || (known *= size) > total) {
      return own;
    }
  }
  if (unknown != nullptr && total % known == 0) {
    *unknown = total / known;
    return shape;
  }
  return unknown == nullptr && known == total ? shape : own;
}

// Takes out what begins with `begin` and ends with the first `end` after `middle`, wherever that is.
void erase_between(std::string& text, const char* begin, const char* end, const char* middle) {
  for (size_t from = text.find(begin); from != std::string::npos; from = text.find(begin, from)) {
    size_t to = text.find(middle, from + std::strlen(begin));
    if (to != std::string::npos) to = text.find(end, to + std::strlen(middle));
    if (to == std::string::npos) return;
    text.erase(from, to + std::strlen(end) - from);
  }
}

}  // namespace

// "OpenCV(4.6.0) file.cpp:1: error: (-2:Unspecified error) why in function 'f'", also within another one's words: why.
std::string words_of(const cv::Exception& exception) {
  std::string words;
  for (const char character : exception.err.empty() ? exception.msg : exception.err) {
    const bool space = character == '\n' || character == ' ' || (character == '>' && words.ends_with(' '));
    if (!space) words += character;
    if (space && !words.ends_with(' ')) words += ' ';
  }
  erase_between(words, "OpenCV(", ") ", "error: (");
  erase_between(words, "in function '", "'", "");
  const size_t first = words.find_first_not_of("> ");
  const size_t last = words.find_last_not_of("> ");
  return first == std::string::npos ? "it does not say why" : words.substr(first, last - first + 1);
}

Model::Model(const Options& options, const vaccel_backend_model_source& source)
    : bytes_(source),
      file_(read_onnx_file(bytes_.bytes())),
      input_infos_(describe("input", file_.inputs)),
      output_infos_(describe("output", file_.outputs)),
      output_names_(names_of(file_.outputs)),
      nets_([this, target = options.target] { return read_net(bytes_.bytes(), file_.opset, target); },
            static_cast<size_t>(options.instances)) {
  if (output_infos_.empty()) refuse(VACCEL_INVALID_ARGUMENT, "the model has no outputs");
}

bool Model::copy_out(const cv::Mat& result, vaccel_backend_run& run, size_t index) const {
  const char* name = output_infos_[index].name;
  if (result.type() != CV_32F || result.dims > VACCEL_MAX_RANK) {
    refuse(VACCEL_UNIMPLEMENTED, "OpenCV gives output '%s' %d dimensions and type %d; float32 was expected",
           name, result.dims, result.type());
  }
  const cv::Mat dense = result.isContinuous() ? result : result.clone();
  const std::vector<int64_t> shape = shape_of(dense, file_.outputs[index]);
  const size_t bytes = dense.total() * sizeof(float);
  void* memory = run.output(run.context, index, name, VACCEL_FLOAT32, static_cast<int32_t>(shape.size()),
                            shape.data(), bytes);
  if (memory == nullptr) return false;
  if (bytes > 0) std::memcpy(memory, dense.data, bytes);
  return true;
}

vaccel_status Model::run(vaccel_backend_run& run) {
  NetPool::Lease net = nets_.take(run);
  std::vector<cv::Mat> results;
  try {
    for (size_t index = 0; index < run.input_count; ++index)
      net->setInput(wrap(run.inputs[index]), file_.inputs[index].name);
    net->forward(results, output_names_);
  } catch (const cv::Exception& exception) {
    if (exception.code == cv::Error::StsNoMem) throw;
    refuse(VACCEL_INTERNAL, "OpenCV failed: %s", words_of(exception).c_str());
  }
  bool room = results.size() == output_infos_.size();
  if (!room) refuse(VACCEL_INTERNAL, "OpenCV gave %zu results of %zu", results.size(), output_infos_.size());
  for (size_t index = 0; room && index < results.size(); ++index)
    room = copy_out(results[index], run, index);
  results.clear();
  net.give_back();
  return room ? VACCEL_OK : VACCEL_RESOURCE_EXHAUSTED;
}

}  // namespace vaccel::opencv

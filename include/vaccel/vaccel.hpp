// SPDX-License-Identifier: Apache-2.0
//
// vAccel for C++20: vaccel.h with exceptions, values and spans. Header only; it adds nothing that the C API cannot
// do, and vaccel.h says what each call means in full.
//
//     vaccel::Session session;  // finds the agent by itself
//     for (const vaccel::Class& one : session.classify("mobilenet", image, 5))
//       std::printf("%s %.2f\n", one.label.c_str(), one.score);
//
// Every function throws vaccel::Error when the C function behind it fails, except where its text says otherwise. Nothing
// here is thread-safe that is not in the C API: any number of threads may use one Session, a Request belongs to one
// thread at a time.
#ifndef VACCEL_VACCEL_HPP
#define VACCEL_VACCEL_HPP

#include <vaccel/vaccel.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if !defined(__cpp_lib_span)
#error "vaccel.hpp needs C++20; vaccel.h works with C99 and any C++"
#endif

namespace vaccel {

/// A call that failed: the code, and the sentence as what().
class Error : public std::runtime_error {
 public:
  Error(vaccel_status code, const std::string& sentence, std::chrono::microseconds retry_after = {})
      : std::runtime_error(sentence), code_(code), retry_after_(retry_after) {}
  /// Why it failed; never VACCEL_OK.
  [[nodiscard]] vaccel_status code() const noexcept { return code_; }
  /// The code's name: "NOT_FOUND".
  [[nodiscard]] const char* code_name() const noexcept { return vaccel_status_name(code_); }
  /// When it may help to try again; 0: not known. See vaccel_error_retry_after_us().
  [[nodiscard]] std::chrono::microseconds retry_after() const noexcept { return retry_after_; }

 private:
  vaccel_status code_;
  std::chrono::microseconds retry_after_;
};

namespace detail {

inline void check(vaccel_status status) {
  if (status != VACCEL_OK)
    throw Error(status, vaccel_error_message(), std::chrono::microseconds(vaccel_error_retry_after_us()));
}

template <auto free>
struct Free {
  template <typename T>
  void operator()(T* object) const noexcept {
    free(object);
  }
};

inline std::string text(const char* text) {
  return text != nullptr ? text : "";
}

template <typename T>
constexpr int dtype_of() {
  using Value = std::remove_cv_t<T>;
  static_assert(std::is_arithmetic_v<Value> || std::is_same_v<Value, std::byte>,
                "elements are arithmetic types or std::byte; for others give the dtype and the bytes");
  if constexpr (std::is_same_v<Value, bool>) {
    static_assert(sizeof(bool) == 1);
    return VACCEL_BOOL;
  } else if constexpr (std::is_same_v<Value, std::byte>) {
    return VACCEL_UINT8;
  } else if constexpr (std::is_floating_point_v<Value>) {
    static_assert(sizeof(Value) == 4 || sizeof(Value) == 8, "long double is no element type");
    return sizeof(Value) == 4 ? VACCEL_FLOAT32 : VACCEL_FLOAT64;
  } else {
    constexpr int kSigned[] = {VACCEL_INT8, VACCEL_INT16, VACCEL_INT32, VACCEL_INT64};
    constexpr int kUnsigned[] = {VACCEL_UINT8, VACCEL_UINT16, VACCEL_UINT32, VACCEL_UINT64};
    constexpr size_t kLog = sizeof(Value) == 1 ? 0 : sizeof(Value) == 2 ? 1 : sizeof(Value) == 4 ? 2 : 3;
    return std::is_signed_v<Value> ? kSigned[kLog] : kUnsigned[kLog];
  }
}

}  // namespace detail

namespace detail {

template <typename Real>
constexpr vaccel_dtype real_dtype() {
  static_assert(std::is_floating_point_v<Real>, "linear algebra is on float and double");
  return static_cast<vaccel_dtype>(dtype_of<Real>());
}

inline int64_t common_length(size_t one, size_t other) {
  if (one != other)
    throw std::length_error("the vectors have " + std::to_string(one) + " and " + std::to_string(other) +
                            " elements");
  return static_cast<int64_t>(one);
}

}  // namespace detail

/// A view of the caller's data as a named tensor: what calls take as input, and as memory for results. It owns its name
/// and shape, not the data.
class Tensor {
 public:
  /// @param name   Of the model's input or output; "": by position.
  /// @param dtype  A vaccel_dtype.
  /// @param shape  At most VACCEL_MAX_RANK dimensions; std::length_error otherwise.
  Tensor(std::string name, int dtype, const void* data, size_t bytes, std::span<const int64_t> shape)
      : name_(std::move(name)),
        data_(const_cast<void*>(data)),
        bytes_(bytes),
        rank_(shape.size()),
        dtype_(dtype) {
    if (shape.size() > shape_.size()) throw std::length_error("a tensor has at most 8 dimensions");
    std::copy(shape.begin(), shape.end(), shape_.begin());
  }

  /// The C view of it. Lives as long as this object stays where it is.
  [[nodiscard]] vaccel_tensor view() const {
    vaccel_tensor view{};
    view.name = name_.empty() ? nullptr : name_.c_str();
    view.data = data_;
    view.bytes = bytes_;
    view.shape = shape_.data();
    view.rank = static_cast<int32_t>(rank_);
    view.dtype = dtype_;
    return view;
  }

 private:
  std::string name_;
  void* data_;
  size_t bytes_;
  std::array<int64_t, VACCEL_MAX_RANK> shape_{};
  size_t rank_;
  int dtype_;
};

/// A tensor over the elements of a contiguous range (std::span, std::vector, std::array), dense and row-major; the type of
/// its elements says the dtype. The range must outlive the tensor.
template <std::ranges::contiguous_range Range>
[[nodiscard]] Tensor tensor(std::string name, Range&& range, std::initializer_list<int64_t> shape) {
  using Element = std::ranges::range_value_t<Range>;
  static_assert(std::ranges::borrowed_range<Range> || std::is_lvalue_reference_v<Range>,
                "the data would be gone before the tensor is used");
  return {std::move(name), detail::dtype_of<Element>(), std::ranges::data(range),
          std::ranges::size(range) * sizeof(Element), std::span(shape.begin(), shape.size())};
}

/// The same with one dimension: all of the range.
template <std::ranges::contiguous_range Range>
[[nodiscard]] Tensor tensor(std::string name, Range&& range) {
  return tensor(std::move(name), std::forward<Range>(range),
                {static_cast<int64_t>(std::ranges::size(range))});
}

/// A named argument that is not a tensor.
class Attribute {
 public:
  Attribute(std::string name, int64_t value)
      : name_(std::move(name)), type_(VACCEL_ATTRIBUTE_INT), integer_(value) {}
  Attribute(std::string name, int value) : Attribute(std::move(name), int64_t{value}) {}
  Attribute(std::string name, double value)
      : name_(std::move(name)), type_(VACCEL_ATTRIBUTE_FLOAT), real_(value) {}
  Attribute(std::string name, std::string value)
      : name_(std::move(name)), type_(VACCEL_ATTRIBUTE_STRING), text_(std::move(value)) {}
  Attribute(std::string name, const char* value) : Attribute(std::move(name), std::string(value)) {}

  /// The C view of it. Lives as long as this object stays where it is.
  [[nodiscard]] vaccel_attribute view() const {
    vaccel_attribute view{};
    view.name = name_.c_str();
    view.type = type_;
    if (type_ == VACCEL_ATTRIBUTE_INT) view.value.integer = integer_;
    if (type_ == VACCEL_ATTRIBUTE_FLOAT) view.value.real = real_;
    if (type_ == VACCEL_ATTRIBUTE_STRING) view.value.string = text_.c_str();
    return view;
  }

 private:
  std::string name_;
  vaccel_attribute_type type_;
  int64_t integer_ = 0;
  double real_ = 0;
  std::string text_;
};

/// What can be said about any call; see vaccel_call_options.
struct CallOptions {
  /// How long the call may take, from when it is made; 0: as long as it does.
  std::chrono::nanoseconds timeout{0};
  /// Name of the backend to use; "": the best there is.
  std::string backend;
  /// Measure the stages.
  bool timings = false;
  /// Among one's own tenant's calls, from -100 to 100.
  int32_t priority = 0;
  /// For submitted calls: handed back by Request::user_data().
  void* user_data = nullptr;
  /// Memory for results, by name or position. For submitted calls the memory must stay until they have completed.
  std::vector<Tensor> outputs;
};

/// One class that an image may show.
struct Class {
  int32_t index;
  float score;
  std::string label;
};

/// The classes of an image, best first. Made from what vaccel_classify() finds.
using Classes = std::vector<Class>;

/// A whole PNG, JPEG or WebP file: a view of any contiguous range of bytes, which must outlive it.
class Image {
 public:
  template <std::ranges::contiguous_range Bytes>
  requires(sizeof(std::ranges::range_value_t<Bytes>) == 1 &&
           !std::is_same_v<std::remove_cvref_t<Bytes>, Image>)
      Image(const Bytes& file)  // NOLINT: a file of bytes is an image
      : view_{std::ranges::data(file), std::ranges::size(file), {0, 0}} {}

  /// The C view of it.
  [[nodiscard]] vaccel_image view() const { return view_; }

 private:
  vaccel_image view_;
};

/// Which results are wanted; 0: as the model says. See vaccel_vision_options.
struct VisionOptions {
  float min_score = 0;
  float iou = 0;
  uint32_t top = 0;

  [[nodiscard]] vaccel_vision_options view() const {
    return {sizeof(vaccel_vision_options), min_score, iou, top, 0};
  }
};

/// One object in an image; see vaccel_detection.
struct Detection {
  int32_t index;
  float score;
  std::string label;
  float x;
  float y;
  float width;
  float height;
};

/// The objects in an image, best first.
struct Detections {
  std::vector<Detection> items;
  uint32_t image_width;
  uint32_t image_height;
  vaccel_timings timings;
  uint64_t copied_bytes;

  /// Takes over what a C function handed out.
  explicit Detections(vaccel_detections* detections);
};

/// One point of a body; see vaccel_keypoint.
struct Keypoint {
  float x;
  float y;
  float score;
  std::string name;
};

/// One body.
struct Pose {
  float score;
  std::vector<Keypoint> keypoints;
};

/// The poses of the bodies in an image, best first.
struct Poses {
  std::vector<Pose> items;
  uint32_t image_width;
  uint32_t image_height;
  vaccel_timings timings;
  uint64_t copied_bytes;

  /// Takes over what a C function handed out.
  explicit Poses(vaccel_poses* poses);
};

/// What each pixel of an image belongs to. Move-only; its maps are not copied.
class Segmentation {
 public:
  /// Takes over what a C function handed out.
  explicit Segmentation(vaccel_segmentation* segmentation) : segmentation_(segmentation) {}

  /// Of the image.
  [[nodiscard]] uint32_t width() const { return segmentation_->width; }
  [[nodiscard]] uint32_t height() const { return segmentation_->height; }
  /// The class at a pixel. Throws std::out_of_range.
  [[nodiscard]] uint32_t class_at(uint32_t x, uint32_t y) const {
    if (x >= width() || y >= height()) throw std::out_of_range("there is no such pixel");
    const size_t at = size_t{y} * width() + x;
    return segmentation_->element_bytes == 1 ? static_cast<const uint8_t*>(segmentation_->classes)[at]
                                             : static_cast<const uint16_t*>(segmentation_->classes)[at];
  }
  /// How many classes the model knows.
  [[nodiscard]] size_t class_count() const { return segmentation_->label_count; }
  /// The name of a class; "" when it has none. Throws std::out_of_range.
  [[nodiscard]] std::string_view label(uint32_t index) const {
    if (index >= class_count()) throw std::out_of_range("there is no class " + std::to_string(index));
    return segmentation_->labels[index];
  }
  /// Everything, as C has it: the maps' own memory, and the map at the model's size.
  [[nodiscard]] const vaccel_segmentation& get() const { return *segmentation_; }

 private:
  std::unique_ptr<vaccel_segmentation, detail::Free<vaccel_segmentation_free>> segmentation_;
};

/// How far away what each pixel of an image shows is. Move-only; its maps are not copied.
class DepthMap {
 public:
  /// Takes over what a C function handed out.
  explicit DepthMap(vaccel_depth_map* map) : map_(map) {}

  /// Of the image.
  [[nodiscard]] uint32_t width() const { return map_->width; }
  [[nodiscard]] uint32_t height() const { return map_->height; }
  /// Row by row.
  [[nodiscard]] std::span<const float> depth() const { return {map_->depth, size_t{width()} * height()}; }
  /// Throws std::out_of_range.
  [[nodiscard]] float at(uint32_t x, uint32_t y) const {
    if (x >= width() || y >= height()) throw std::out_of_range("there is no such pixel");
    return map_->depth[size_t{y} * width() + x];
  }
  [[nodiscard]] vaccel_depth_kind kind() const { return static_cast<vaccel_depth_kind>(map_->kind); }
  /// Everything, as C has it: the map at the model's size, too.
  [[nodiscard]] const vaccel_depth_map& get() const { return *map_; }

 private:
  std::unique_ptr<vaccel_depth_map, detail::Free<vaccel_depth_map_free>> map_;
};

/// One result of a call. A view into Outputs.
class Output {
 public:
  explicit Output(const vaccel_tensor& tensor) : tensor_(&tensor) {}

  [[nodiscard]] std::string_view name() const { return tensor_->name; }
  /// A vaccel_dtype.
  [[nodiscard]] int dtype() const { return tensor_->dtype; }
  [[nodiscard]] std::span<const int64_t> shape() const {
    return {tensor_->shape, static_cast<size_t>(tensor_->rank)};
  }
  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {static_cast<const std::byte*>(tensor_->data), tensor_->bytes};
  }
  /// The elements. Throws Error with INVALID_ARGUMENT if they are not of type T.
  template <typename T>
  [[nodiscard]] std::span<const T> as() const {
    if (tensor_->dtype != detail::dtype_of<T>()) {
      throw Error(VACCEL_INVALID_ARGUMENT, "result '" + std::string(name()) + "' has dtype " +
                                               std::to_string(tensor_->dtype) + ", not " +
                                               std::to_string(detail::dtype_of<T>()));
    }
    return {static_cast<const T*>(tensor_->data), tensor_->bytes / sizeof(T)};
  }
  /// The strings of a VACCEL_STRING tensor; they live as long as the Outputs. Throws Error with INVALID_ARGUMENT if it is
  /// of another type.
  [[nodiscard]] std::vector<std::string_view> strings() const {
    if (tensor_->dtype != VACCEL_STRING)
      throw Error(VACCEL_INVALID_ARGUMENT, "result '" + std::string(name()) + "' holds no strings");
    size_t count = 1;
    for (const int64_t dimension : shape())
      count *= static_cast<size_t>(dimension);
    const auto* data = static_cast<const char*>(tensor_->data);
    const auto offset = [data](size_t index) {
      uint32_t value = 0;
      std::memcpy(&value, data + index * sizeof value, sizeof value);
      return value;
    };
    std::vector<std::string_view> strings;
    strings.reserve(count);
    for (size_t index = 0; index < count; ++index)
      strings.emplace_back(data + offset(index), offset(index + 1) - offset(index) - 1);
    return strings;
  }

 private:
  const vaccel_tensor* tensor_;
};

/// The results of a call, in the model's or operator's order.
class Outputs {
 public:
  /// Takes over what a C function handed out.
  explicit Outputs(vaccel_outputs* outputs) : outputs_(outputs) {}

  [[nodiscard]] size_t size() const { return outputs_->count; }
  /// Throws std::out_of_range.
  [[nodiscard]] Output operator[](size_t index) const {
    if (index >= outputs_->count) throw std::out_of_range("there is no result " + std::to_string(index));
    return Output(outputs_->tensors[index]);
  }
  /// Throws Error with NOT_FOUND.
  [[nodiscard]] Output operator[](std::string_view name) const {
    for (const vaccel_tensor& tensor : std::span(outputs_->tensors, outputs_->count)) {
      if (name == tensor.name) return Output(tensor);
    }
    throw Error(VACCEL_NOT_FOUND, "there is no result '" + std::string(name) + "'");
  }
  [[nodiscard]] const vaccel_timings& timings() const { return outputs_->timings; }
  /// Bytes of inputs and results that were copied for this call; 0: nothing moved.
  [[nodiscard]] uint64_t copied_bytes() const { return outputs_->copied_bytes; }

 private:
  std::unique_ptr<vaccel_outputs, detail::Free<vaccel_outputs_free>> outputs_;
};

/// Memory that the host shares, where there is such: tensors over it are not copied on their way to the accelerator, nor
/// are results that are put there (CallOptions::outputs). Made by Session::allocate(); move-only. It must be gone before
/// its session is.
///
///     vaccel::Buffer buffer = session.allocate(count * sizeof(float));
///     const std::span<float> values = buffer.as<float>();
///     // ... fill in the values ...
///     session.infer("model", {vaccel::tensor("input", values, {1, count})});
class Buffer {
 public:
  /// Takes over what a C function handed out.
  explicit Buffer(vaccel_buffer* buffer) : buffer_(buffer) {}

  /// For calls of the C API.
  [[nodiscard]] vaccel_buffer* handle() const noexcept { return buffer_.get(); }
  /// Throws Error with UNAVAILABLE when the agent has been restarted since: allocate another.
  [[nodiscard]] std::byte* data() const {
    void* data = nullptr;
    detail::check(vaccel_buffer_map(buffer_.get(), &data));
    return static_cast<std::byte*>(data);
  }
  /// In bytes.
  [[nodiscard]] size_t size() const noexcept { return vaccel_buffer_size(buffer_.get()); }
  /// All of it; throws as data() does.
  [[nodiscard]] std::span<std::byte> bytes() const { return {data(), size()}; }
  /// As many elements as fit; throws as data() does.
  template <typename T>
  [[nodiscard]] std::span<T> as() const {
    static_assert(std::is_trivially_copyable_v<T>, "the host sees bytes, not objects");
    static_assert(alignof(T) <= 64, "a buffer is aligned to 64 bytes unless asked otherwise");
    return {reinterpret_cast<T*>(data()), size() / sizeof(T)};
  }
  /// Whether it lies in memory that the host shares.
  [[nodiscard]] bool shared() const noexcept { return vaccel_buffer_is_shared(buffer_.get()) != 0; }

 private:
  std::unique_ptr<vaccel_buffer, detail::Free<vaccel_buffer_free>> buffer_;
};

/// Memory where the work is done; see "Device buffers" in vaccel.h. Made by Session::allocate_on_device().
class DeviceBuffer {
 public:
  /// Takes over what a C function handed out. `session` outlives this.
  DeviceBuffer(vaccel_session* session, vaccel_buffer* buffer) : session_(session), buffer_(buffer) {}

  /// For calls of the C API.
  [[nodiscard]] vaccel_buffer* handle() const noexcept { return buffer_.get(); }
  /// Its first element, for tensors and arguments of products: a name, nobody can read or write there.
  template <typename T>
  [[nodiscard]] T* address() const {
    void* address = nullptr;
    detail::check(vaccel_buffer_device_address(buffer_.get(), &address));
    return static_cast<T*>(address);
  }
  /// In bytes.
  [[nodiscard]] size_t size() const noexcept { return vaccel_buffer_size(buffer_.get()); }
  /// The backend on whose device it lies, the only one that can use it; "": every one can.
  [[nodiscard]] std::string_view device() const noexcept { return vaccel_buffer_device(buffer_.get()); }

  /// Copies elements to it, from its byte `offset` on.
  template <typename T>
  void upload(std::span<const T> data, size_t offset = 0) {
    static_assert(std::is_trivially_copyable_v<T>, "the host sees bytes, not objects");
    detail::check(
        vaccel_buffer_upload(session_, buffer_.get(), offset, data.data(), data.size_bytes(), nullptr));
  }
  /// Copies elements from it.
  template <typename T>
  void download(std::span<T> data, size_t offset = 0) const {
    static_assert(std::is_trivially_copyable_v<T>, "the host sees bytes, not objects");
    detail::check(
        vaccel_buffer_download(session_, buffer_.get(), offset, data.data(), data.size_bytes(), nullptr));
  }

 private:
  vaccel_session* session_;
  std::unique_ptr<vaccel_buffer, detail::Free<vaccel_buffer_free>> buffer_;
};

/// A model's input or output.
struct TensorInfo {
  std::string name;
  int dtype;
  bool any_rank;
  std::vector<int64_t> shape;  ///< -1: any size.
};

/// A model of the catalogue; see vaccel_model.
struct Model {
  std::string name;
  std::string task;
  std::string description;
  std::string version;
  std::string license;
  std::string backend;
  std::string problem;
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  std::vector<std::pair<std::string, std::string>> metadata;  ///< Keys and values.
};

/// A backend of the host's; see vaccel_backend_info.
struct Backend {
  std::string name;
  std::string version;
  std::string devices;
  std::string problem;
};

/// An input, an output or an attribute of an operator; see vaccel_operator_part.
struct OperatorPart {
  int kind;
  std::string name;
  std::string type;
  std::string description;
};

/// A backend that an operator can run on; see vaccel_operator_backend.
struct OperatorBackend {
  std::string name;
  int dtype;
  int score;
};

/// What call() takes by name; see vaccel_operator.
struct Operator {
  std::string name;
  std::string description;
  std::vector<OperatorPart> parts;
  std::vector<OperatorBackend> backends;
};

/// What is at the other end; see vaccel_agent.
struct Agent {
  std::string endpoint;
  std::string version;
  uint32_t protocol_version;
  uint32_t worker_count;
  uint64_t max_payload_bytes;
  uint32_t max_calls_in_flight;
  uint32_t model_count;
  std::vector<Backend> backends;
  std::string window;     ///< How memory is shared: "/dev/dax0.0, 512 MiB", or "none: " and why.
  uint64_t window_bytes;  ///< Most bytes of buffers that this session may have; 0: there is no window.
};

namespace detail {

// C views of values, which must stay where they are meanwhile.
template <typename View, typename Values>
std::vector<View> views_of(const Values& values) {
  std::vector<View> views;
  views.reserve(values.size());
  for (const auto& value : values)
    views.push_back(value.view());
  return views;
}

// Memory for results as the C API wants it, with the names that it refers to. It stays where it is.
struct Places {
  explicit Places(const std::vector<Tensor>& outputs)
      : tensors(outputs), views(views_of<vaccel_tensor>(tensors)) {}

  std::vector<Tensor> tensors;
  std::vector<vaccel_tensor> views;
};

// A vaccel_call_options and what it points to; it must not outlive the CallOptions.
class COptions {
 public:
  explicit COptions(const CallOptions& options) {
    options_.size = sizeof options_;
    if (options.timeout.count() > 0) {
      const auto timeout = std::chrono::ceil<std::chrono::microseconds>(options.timeout);
      options_.deadline_ns = vaccel_deadline_after_us(static_cast<uint64_t>(timeout.count()));
    }
    if (!options.backend.empty()) options_.backend = options.backend.c_str();
    if (options.timings) options_.flags = VACCEL_CALL_TIMINGS;
    options_.priority = options.priority;
    options_.user_data = options.user_data;
    if (options.outputs.empty()) return;
    places_ = std::make_unique<Places>(options.outputs);
    options_.outputs = places_->views.data();
    options_.output_count = places_->views.size();
  }
  COptions(const COptions&) = delete;
  COptions& operator=(const COptions&) = delete;

  [[nodiscard]] const vaccel_call_options* get() const { return &options_; }
  // What options.outputs points to, for a request, which outlives this object.
  [[nodiscard]] std::unique_ptr<Places> take_places() { return std::move(places_); }

 private:
  std::unique_ptr<Places> places_;
  vaccel_call_options options_{};
};

inline Classes copy_classes(vaccel_classes* classes, vaccel_timings* timings, uint64_t* copied_bytes) {
  const std::unique_ptr<vaccel_classes, Free<vaccel_classes_free>> owner(classes);
  Classes copies;
  copies.reserve(classes->count);
  for (const vaccel_class& one : std::span(classes->items, classes->count))
    copies.push_back({one.index, one.score, text(one.label)});
  if (timings != nullptr) *timings = classes->timings;
  if (copied_bytes != nullptr) *copied_bytes = classes->copied_bytes;
  return copies;
}

// Places for the results of several images, which are freed if not all of them are taken over.
template <typename C, auto free>
class Batch {
 public:
  explicit Batch(size_t count) : results_(count, nullptr) {}
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  ~Batch() {
    for (C* result : results_)
      free(result);
  }
  [[nodiscard]] C** places() { return results_.data(); }
  // What `make` makes of each, which takes it over.
  template <typename Make>
  [[nodiscard]] auto take(Make make) {
    std::vector<decltype(make(std::declval<C*>()))> taken;
    taken.reserve(results_.size());
    for (C*& result : results_)
      taken.push_back(make(std::exchange(result, nullptr)));
    return taken;
  }

 private:
  std::vector<C*> results_;
};

// A result type of C++, and what makes it: its own constructor, but for classes, which are a vector.
template <typename Type>
struct Made {
  template <typename C>
  Type operator()(C* result) const {
    return Type(result);
  }
};
template <>
struct Made<Classes> {
  Classes operator()(vaccel_classes* classes) const { return copy_classes(classes, nullptr, nullptr); }
};

inline std::vector<TensorInfo> copy_infos(const vaccel_tensor_info* infos, size_t count) {
  std::vector<TensorInfo> copies;
  copies.reserve(count);
  for (const vaccel_tensor_info& info : std::span(infos, count)) {
    TensorInfo copy{text(info.name), info.dtype, info.rank < 0, {}};
    if (info.rank > 0) copy.shape.assign(info.shape, info.shape + info.rank);
    copies.push_back(std::move(copy));
  }
  return copies;
}

inline Model copy_model(const vaccel_model& model) {
  Model copy{text(model.name),
             text(model.task),
             text(model.description),
             text(model.version),
             text(model.license),
             text(model.backend),
             text(model.problem),
             copy_infos(model.inputs, model.input_count),
             copy_infos(model.outputs, model.output_count),
             {}};
  for (const vaccel_metadata& pair : std::span(model.metadata, model.metadata_count))
    copy.metadata.emplace_back(text(pair.key), text(pair.value));
  return copy;
}

inline Operator copy_operator(const vaccel_operator& source) {
  Operator copy{text(source.name), text(source.description), {}, {}};
  for (const vaccel_operator_part& part : std::span(source.parts, source.part_count))
    copy.parts.push_back({part.kind, text(part.name), text(part.type), text(part.description)});
  for (const vaccel_operator_backend& backend : std::span(source.backends, source.backend_count))
    copy.backends.push_back({text(backend.name), backend.dtype, backend.score});
  return copy;
}

}  // namespace detail

inline Detections::Detections(vaccel_detections* detections)
    : image_width(detections->image_width),
      image_height(detections->image_height),
      timings(detections->timings),
      copied_bytes(detections->copied_bytes) {
  const std::unique_ptr<vaccel_detections, detail::Free<vaccel_detections_free>> owner(detections);
  items.reserve(detections->count);
  for (const vaccel_detection& one : std::span(detections->items, detections->count)) {
    items.push_back({one.index, one.score, detail::text(one.label), one.x, one.y, one.width, one.height});
  }
}

inline Poses::Poses(vaccel_poses* poses)
    : image_width(poses->image_width),
      image_height(poses->image_height),
      timings(poses->timings),
      copied_bytes(poses->copied_bytes) {
  const std::unique_ptr<vaccel_poses, detail::Free<vaccel_poses_free>> owner(poses);
  items.reserve(poses->count);
  for (const vaccel_pose_item& one : std::span(poses->items, poses->count)) {
    Pose pose{one.score, {}};
    pose.keypoints.reserve(one.keypoint_count);
    for (const vaccel_keypoint& point : std::span(one.keypoints, one.keypoint_count))
      pose.keypoints.push_back({point.x, point.y, point.score, detail::text(point.name)});
    items.push_back(std::move(pose));
  }
}

/// A submitted call. Its destructor gives the call up if it has not completed. Move-only.
class Request {
 public:
  /// Takes over what a C function handed out. @param places  What its options' outputs point to.
  /// @param image_count  Of a vision operator.
  explicit Request(vaccel_request* request, std::unique_ptr<detail::Places> places = nullptr,
                   size_t image_count = 1)
      : places_(std::move(places)), image_count_(image_count), request_(request) {}

  /// To tell requests apart: Session::poll() hands it out.
  [[nodiscard]] vaccel_request* handle() const noexcept { return request_.get(); }
  [[nodiscard]] void* user_data() const noexcept { return vaccel_request_user_data(request_.get()); }
  [[nodiscard]] bool done() const noexcept { return vaccel_request_done(request_.get()) != 0; }
  /// Waits until it has completed; throws what became of it if that was a failure.
  void wait() { detail::check(vaccel_wait(request_.get(), 0)); }
  /// Waits until it has completed, in any way, or the time is up. @return whether it has completed.
  [[nodiscard]] bool wait_for(std::chrono::nanoseconds timeout) {
    const auto rounded = std::chrono::ceil<std::chrono::microseconds>(timeout);
    const auto microseconds = rounded.count() > 0 ? static_cast<uint64_t>(rounded.count()) : 0;
    (void)!vaccel_wait(request_.get(), vaccel_deadline_after_us(microseconds));
    return done();
  }
  /// Asks the other end to give the call up.
  void cancel() noexcept { vaccel_cancel(request_.get()); }
  /// Waits, and takes the results; once.
  [[nodiscard]] Outputs outputs() {
    wait();
    vaccel_outputs* outputs = nullptr;
    detail::check(vaccel_request_outputs(request_.get(), &outputs));
    return Outputs(outputs);
  }
  /// Waits, and takes the classes of a submitted classify() of one image; once.
  [[nodiscard]] Classes classes(vaccel_timings* timings = nullptr, uint64_t* copied_bytes = nullptr) {
    wait();
    if (image_count_ != 1) throw std::logic_error("the call has several images; see class_lists()");
    vaccel_classes* classes = nullptr;
    detail::check(vaccel_request_classes(request_.get(), &classes));
    return detail::copy_classes(classes, timings, copied_bytes);
  }
  /// Waits, and takes the results of submit_vision(), one for each image; once.
  [[nodiscard]] std::vector<Classes> class_lists() {
    return take<Classes, vaccel_classes, vaccel_classes_free>(vaccel_request_classes);
  }
  [[nodiscard]] std::vector<Detections> detections() {
    return take<Detections, vaccel_detections, vaccel_detections_free>(vaccel_request_detections);
  }
  [[nodiscard]] std::vector<Segmentation> segmentations() {
    return take<Segmentation, vaccel_segmentation, vaccel_segmentation_free>(vaccel_request_segmentations);
  }
  [[nodiscard]] std::vector<Poses> poses() {
    return take<Poses, vaccel_poses, vaccel_poses_free>(vaccel_request_poses);
  }
  [[nodiscard]] std::vector<DepthMap> depth_maps() {
    return take<DepthMap, vaccel_depth_map, vaccel_depth_map_free>(vaccel_request_depth_maps);
  }

 private:
  template <typename Type, typename C, auto free>
  std::vector<Type> take(vaccel_status (*taker)(vaccel_request*, C**)) {
    wait();
    detail::Batch<C, free> batch(image_count_);
    detail::check(taker(request_.get(), batch.places()));
    return batch.take(detail::Made<Type>{});
  }

  std::unique_ptr<detail::Places> places_;  // read until the call has completed; gone after request_
  size_t image_count_;
  std::unique_ptr<vaccel_request, detail::Free<vaccel_request_free>> request_;
};

/// How to open a session; see vaccel_open_options.
struct OpenOptions {
  std::chrono::milliseconds connect_timeout{0};  ///< 0: the default.
  std::string client_name;                       ///< "": the process's name.
  uint32_t flags = 0;                            ///< VACCEL_OPEN_*
};

/// A session with an agent, or with the runtime in this process. Move-only. Requests and buffers must be gone before it is.
class Session {
 public:
  /// Opens a session wherever vaccel_open() finds one.
  Session() : Session(nullptr, OpenOptions{}) {}
  /// @param endpoint  "unix:/path", "vsock:CID:PORT", "tcp:HOST:PORT", "local:".
  explicit Session(const std::string& endpoint, const OpenOptions& options = {})
      : Session(endpoint.c_str(), options) {}
  /// @param endpoint  nullptr: finds it.
  explicit Session(const char* endpoint, const OpenOptions& options = {}) {
    vaccel_open_options c_options{};
    c_options.size = sizeof c_options;
    c_options.connect_timeout_ms = static_cast<uint32_t>(options.connect_timeout.count());
    c_options.flags = options.flags;
    if (!options.client_name.empty()) c_options.client_name = options.client_name.c_str();
    vaccel_session* session = nullptr;
    detail::check(vaccel_open(endpoint, &c_options, &session));
    session_.reset(session);
  }

  /// For calls of the C API.
  [[nodiscard]] vaccel_session* handle() const noexcept { return session_.get(); }
  [[nodiscard]] std::string endpoint() const { return vaccel_session_endpoint(session_.get()); }

  /// Asks the agent for a sign of life. @return how long it took.
  std::chrono::nanoseconds ping(const CallOptions& options = {}) const {
    uint64_t round_trip_ns = 0;
    detail::check(vaccel_ping(session_.get(), detail::COptions(options).get(), &round_trip_ns));
    return std::chrono::nanoseconds(round_trip_ns);
  }

  /// Allocates a buffer; see vaccel_buffer_alloc().
  /// @param alignment       Of its first byte: a power of two, at most 2 MiB; 0: 64.
  /// @param must_be_shared  Throws Error with UNIMPLEMENTED rather than give memory that the host does not share.
  [[nodiscard]] Buffer allocate(size_t bytes, size_t alignment = 0, bool must_be_shared = false) const {
    vaccel_buffer_options options{};
    options.size = sizeof options;
    options.alignment = alignment;
    options.flags = must_be_shared ? VACCEL_BUFFER_SHARED : 0;
    vaccel_buffer* buffer = nullptr;
    detail::check(vaccel_buffer_alloc(session_.get(), bytes, &options, &buffer));
    return Buffer(buffer);
  }

  /// Allocates memory where the work is done, on the device of a backend; "": the one that is best at products. The session
  /// must outlive it.
  [[nodiscard]] DeviceBuffer allocate_on_device(size_t bytes, const std::string& backend = {}) const {
    vaccel_buffer_options options{};
    options.size = sizeof options;
    options.flags = VACCEL_BUFFER_DEVICE;
    options.backend = backend.empty() ? nullptr : backend.c_str();
    vaccel_buffer* buffer = nullptr;
    detail::check(vaccel_buffer_alloc(session_.get(), bytes, &options, &buffer));
    return DeviceBuffer(session_.get(), buffer);
  }

  /// Says what a picture shows, best first.
  [[nodiscard]] Classes classify(const std::string& model, const Image& image, uint32_t top,
                                 const CallOptions& options = {}, vaccel_timings* timings = nullptr,
                                 uint64_t* copied_bytes = nullptr) const {
    const vaccel_image view = image.view();
    vaccel_classes* classes = nullptr;
    detail::check(vaccel_classify(session_.get(), model.c_str(), view.data, view.bytes, top,
                                  detail::COptions(options).get(), &classes));
    return detail::copy_classes(classes, timings, copied_bytes);
  }
  /// Finds the objects in a picture.
  [[nodiscard]] Detections detect(const std::string& model, const Image& image,
                                  const VisionOptions& wanted = {}, const CallOptions& options = {}) const {
    return std::move(detect(model, std::vector{image}, wanted, options).front());
  }
  /// Says for each pixel of a picture what it belongs to.
  [[nodiscard]] Segmentation segment(const std::string& model, const Image& image,
                                     const CallOptions& options = {}) const {
    return std::move(segment(model, std::vector{image}, options).front());
  }
  /// Finds how the bodies in a picture are posed.
  [[nodiscard]] Poses pose(const std::string& model, const Image& image, const VisionOptions& wanted = {},
                           const CallOptions& options = {}) const {
    return std::move(pose(model, std::vector{image}, wanted, options).front());
  }
  /// Says how far away what each pixel of a picture shows is.
  [[nodiscard]] DepthMap depth(const std::string& model, const Image& image,
                               const CallOptions& options = {}) const {
    return std::move(depth(model, std::vector{image}, options).front());
  }

  /// The same for several pictures in one call, at most VACCEL_MAX_IMAGES: all of them or, when one cannot be read, none.
  [[nodiscard]] std::vector<Classes> classify(const std::string& model, const std::vector<Image>& images,
                                              uint32_t top, const CallOptions& options = {}) const {
    return run<Classes, vaccel_classes, vaccel_classes_free>(vaccel_classify_batch, model, images, options,
                                                             top);
  }
  [[nodiscard]] std::vector<Detections> detect(const std::string& model, const std::vector<Image>& images,
                                               const VisionOptions& wanted = {},
                                               const CallOptions& options = {}) const {
    const vaccel_vision_options view = wanted.view();
    return run<Detections, vaccel_detections, vaccel_detections_free>(vaccel_detect_batch, model, images,
                                                                      options, &view);
  }
  [[nodiscard]] std::vector<Segmentation> segment(const std::string& model, const std::vector<Image>& images,
                                                  const CallOptions& options = {}) const {
    return run<Segmentation, vaccel_segmentation, vaccel_segmentation_free>(vaccel_segment_batch, model,
                                                                            images, options);
  }
  [[nodiscard]] std::vector<Poses> pose(const std::string& model, const std::vector<Image>& images,
                                        const VisionOptions& wanted = {},
                                        const CallOptions& options = {}) const {
    const vaccel_vision_options view = wanted.view();
    return run<Poses, vaccel_poses, vaccel_poses_free>(vaccel_pose_batch, model, images, options, &view);
  }
  [[nodiscard]] std::vector<DepthMap> depth(const std::string& model, const std::vector<Image>& images,
                                            const CallOptions& options = {}) const {
    return run<DepthMap, vaccel_depth_map, vaccel_depth_map_free>(vaccel_depth_batch, model, images, options);
  }

  /// Runs a model on tensors.
  [[nodiscard]] Outputs infer(const std::string& model, const std::vector<Tensor>& inputs,
                              const CallOptions& options = {}) const {
    const auto views = detail::views_of<vaccel_tensor>(inputs);
    vaccel_outputs* outputs = nullptr;
    detail::check(vaccel_infer(session_.get(), model.c_str(), views.data(), views.size(),
                               detail::COptions(options).get(), &outputs));
    return Outputs(outputs);
  }

  // ---- Linear algebra, on float and double; see vaccel.h, which has the other types, increments and batches too.

  /// c = alpha op(a) op(b) + beta c, with CBLAS's arguments.
  template <typename Real>
  void gemm(vaccel_order order, vaccel_transpose transpose_a, vaccel_transpose transpose_b, int64_t m,
            int64_t n, int64_t k, std::type_identity_t<Real> alpha, const Real* a, int64_t lda, const Real* b,
            int64_t ldb, std::type_identity_t<Real> beta, Real* c, int64_t ldc,
            const CallOptions& options = {}) const {
    detail::check(vaccel_gemm(session_.get(), detail::real_dtype<Real>(), order, transpose_a, transpose_b, m,
                              n, k, alpha, a, lda, b, ldb, beta, c, ldc, detail::COptions(options).get()));
  }
  /// y = alpha op(a) x + beta y, with CBLAS's arguments.
  template <typename Real>
  void gemv(vaccel_order order, vaccel_transpose transpose, int64_t m, int64_t n,
            std::type_identity_t<Real> alpha, const Real* a, int64_t lda, const Real* x, int64_t incx,
            std::type_identity_t<Real> beta, Real* y, int64_t incy, const CallOptions& options = {}) const {
    detail::check(vaccel_gemv(session_.get(), detail::real_dtype<Real>(), order, transpose, m, n, alpha, a,
                              lda, x, incx, beta, y, incy, detail::COptions(options).get()));
  }
  /// y = alpha x + y. Throws std::length_error if they are not of one length.
  template <typename Real>
  void axpy(std::type_identity_t<Real> alpha, std::span<const Real> x, std::span<Real> y,
            const CallOptions& options = {}) const {
    detail::check(vaccel_axpy(session_.get(), detail::real_dtype<Real>(),
                              detail::common_length(x.size(), y.size()), alpha, x.data(), 1, y.data(), 1,
                              detail::COptions(options).get()));
  }
  /// x = alpha x
  template <typename Real>
  void scal(std::type_identity_t<Real> alpha, std::span<Real> x, const CallOptions& options = {}) const {
    detail::check(vaccel_scal(session_.get(), detail::real_dtype<Real>(), static_cast<int64_t>(x.size()),
                              alpha, x.data(), 1, detail::COptions(options).get()));
  }
  /// x . y. Throws std::length_error if they are not of one length.
  template <typename Real>
  [[nodiscard]] Real dot(std::span<const Real> x, std::span<const Real> y,
                         const CallOptions& options = {}) const {
    Real result{};
    detail::check(vaccel_dot(session_.get(), detail::real_dtype<Real>(),
                             detail::common_length(x.size(), y.size()), x.data(), 1, y.data(), 1, &result,
                             detail::COptions(options).get()));
    return result;
  }
  /// The Euclidean norm of x.
  template <typename Real>
  [[nodiscard]] Real nrm2(std::span<const Real> x, const CallOptions& options = {}) const {
    Real result{};
    detail::check(vaccel_nrm2(session_.get(), detail::real_dtype<Real>(), static_cast<int64_t>(x.size()),
                              x.data(), 1, &result, detail::COptions(options).get()));
    return result;
  }

  /// Calls any operator by name. @param model  "": it needs none.
  [[nodiscard]] Outputs call(const std::string& operator_name, const std::string& model,
                             const std::vector<Attribute>& attributes, const std::vector<Tensor>& inputs,
                             const CallOptions& options = {}) const {
    const auto input_views = detail::views_of<vaccel_tensor>(inputs);
    const auto attribute_views = detail::views_of<vaccel_attribute>(attributes);
    vaccel_outputs* outputs = nullptr;
    detail::check(vaccel_call(session_.get(), operator_name.c_str(), model.empty() ? nullptr : model.c_str(),
                              attribute_views.data(), attribute_views.size(), input_views.data(),
                              input_views.size(), detail::COptions(options).get(), &outputs));
    return Outputs(outputs);
  }

  /// As classify(), infer() and call(), but return as soon as the call has been sent; inputs may be reused then.
  [[nodiscard]] Request submit_classify(const std::string& model, const Image& image, uint32_t top,
                                        const CallOptions& options = {}) const {
    return submit_vision("classify", model, {image}, {.top = top}, options);
  }
  /// @param operator_name  "classify", "detect", "segment", "pose" or "depth".
  [[nodiscard]] Request submit_vision(const std::string& operator_name, const std::string& model,
                                      const std::vector<Image>& images, const VisionOptions& wanted = {},
                                      const CallOptions& options = {}) const {
    const auto views = detail::views_of<vaccel_image>(images);
    const vaccel_vision_options view = wanted.view();
    detail::COptions c_options(options);
    vaccel_request* request = nullptr;
    detail::check(vaccel_submit_vision(session_.get(), operator_name.c_str(), model.c_str(), views.data(),
                                       views.size(), &view, c_options.get(), &request));
    return Request(request, c_options.take_places(), images.size());
  }
  [[nodiscard]] Request submit_infer(const std::string& model, const std::vector<Tensor>& inputs,
                                     const CallOptions& options = {}) const {
    return submit_call("infer", model, {}, inputs, options);
  }
  [[nodiscard]] Request submit_call(const std::string& operator_name, const std::string& model,
                                    const std::vector<Attribute>& attributes,
                                    const std::vector<Tensor>& inputs,
                                    const CallOptions& options = {}) const {
    const auto input_views = detail::views_of<vaccel_tensor>(inputs);
    const auto attribute_views = detail::views_of<vaccel_attribute>(attributes);
    detail::COptions c_options(options);
    vaccel_request* request = nullptr;
    detail::check(vaccel_submit_call(session_.get(), operator_name.c_str(),
                                     model.empty() ? nullptr : model.c_str(), attribute_views.data(),
                                     attribute_views.size(), input_views.data(), input_views.size(),
                                     c_options.get(), &request));
    return Request(request, c_options.take_places());
  }

  /// Takes in what has arrived. @return the handle of a request that has completed; nullptr: none has.
  [[nodiscard]] vaccel_request* poll() const {
    vaccel_request* request = nullptr;
    detail::check(vaccel_poll(session_.get(), &request));
    return request;
  }
  /// A descriptor that is readable when poll() may have something to do.
  [[nodiscard]] int descriptor() const {
    const int fd = vaccel_session_fd(session_.get());
    if (fd < 0) throw Error(VACCEL_RESOURCE_EXHAUSTED, vaccel_error_message());
    return fd;
  }

  /// The models that this session may use. Loads none.
  [[nodiscard]] std::vector<Model> models() const {
    vaccel_model_list* list = nullptr;
    detail::check(vaccel_models(session_.get(), &list));
    const std::unique_ptr<vaccel_model_list, detail::Free<vaccel_model_list_free>> owner(list);
    std::vector<Model> models;
    models.reserve(list->count);
    for (const vaccel_model* model : std::span(list->models, list->count))
      models.push_back(detail::copy_model(*model));
    return models;
  }
  /// Describes one model, inputs and outputs included; loads it where it was not.
  [[nodiscard]] Model model(const std::string& name) const {
    vaccel_model* described = nullptr;
    detail::check(vaccel_model_describe(session_.get(), name.c_str(), &described));
    const std::unique_ptr<vaccel_model, detail::Free<vaccel_model_free>> owner(described);
    return detail::copy_model(*described);
  }
  /// Loads a model now, so that the first call does not wait for it.
  void load(const std::string& name) const { detail::check(vaccel_model_load(session_.get(), name.c_str())); }

  // ---- Models of one's own, where the host takes them: its operator says so with [uploads]

  /// Sends a file of a model in pieces, or what of it the host does not have yet: goes on where it was interrupted. Where the host takes
  /// only so much a second, waits. RESOURCE_EXHAUSTED: the quota.
  /// @param sha256  Of the file: 64 hexadecimal digits in lower case. @return bytes that were sent; 0: it was there.
  uint64_t upload(const std::string& sha256, std::span<const std::byte> file,
                  const CallOptions& options = {}) const {
    constexpr uint64_t kPieceBytes = uint64_t{1} << 20;
    uint64_t sent = 0;
    uint64_t have = upload_piece(sha256, file, 0, 0, options);
    while (have < file.size()) {
      const uint64_t bytes = std::min<uint64_t>(kPieceBytes, file.size() - have);
      const uint64_t now = upload_piece(sha256, file, have, bytes, options);
      if (now <= have) throw Error(VACCEL_UNAVAILABLE, "the host does not go on with the upload");
      sent += bytes;
      have = now;
    }
    return sent;
  }
  /// Makes the model "own/NAME" of files that have been uploaded, and loads it: INVALID_ARGUMENT says why that cannot be.
  /// @param files  The name that each has in the model, and its SHA-256; "model.toml", which says what the model is, among them.
  void put_model(const std::string& name, const std::vector<std::pair<std::string, std::string>>& files,
                 const CallOptions& options = {}) const {
    std::string list;
    for (const auto& [file, sha256] : files)
      list.append(file).append(" ").append(sha256).append("\n");
    (void)call("vaccel.put_model", "", {{"name", name}, {"files", list}}, {}, options);
  }
  /// Deletes the model "own/NAME", and its files. NOT_FOUND.
  void delete_model(const std::string& name, const CallOptions& options = {}) const {
    (void)call("vaccel.delete_model", "", {{"name", name}}, {}, options);
  }

  /// Describes the agent, its limits and its backends.
  [[nodiscard]] Agent agent() const {
    vaccel_agent* described = nullptr;
    detail::check(vaccel_agent_describe(session_.get(), &described));
    const std::unique_ptr<vaccel_agent, detail::Free<vaccel_agent_free>> owner(described);
    Agent agent{detail::text(described->endpoint),
                detail::text(described->version),
                described->protocol_version,
                described->worker_count,
                described->max_payload_bytes,
                described->max_calls_in_flight,
                described->model_count,
                {},
                detail::text(described->window),
                described->window_bytes};
    for (const vaccel_backend_info& backend : std::span(described->backends, described->backend_count)) {
      agent.backends.push_back({detail::text(backend.name), detail::text(backend.version),
                                detail::text(backend.devices), detail::text(backend.problem)});
    }
    return agent;
  }

  /// Every operator that a call can name here, by name.
  [[nodiscard]] std::vector<Operator> operators() const {
    vaccel_operator_list* list = nullptr;
    detail::check(vaccel_operators(session_.get(), &list));
    const std::unique_ptr<vaccel_operator_list, detail::Free<vaccel_operator_list_free>> owner(list);
    std::vector<Operator> operators;
    operators.reserve(list->count);
    for (const vaccel_operator* one : std::span(list->operators, list->count))
      operators.push_back(detail::copy_operator(*one));
    return operators;
  }

 private:
  // @param bytes  0: asks. @return how many bytes of the file are there.
  uint64_t upload_piece(const std::string& sha256, std::span<const std::byte> file, uint64_t offset,
                        uint64_t bytes, const CallOptions& options) const {
    const std::span<const std::byte> piece = file.subspan(offset, bytes);
    std::vector<Tensor> inputs;
    if (bytes > 0) inputs.push_back(tensor("data", piece));
    for (;;) {
      try {
        const Outputs outputs = call("vaccel.upload", "",
                                     {{"sha256", sha256},
                                      {"bytes", static_cast<int64_t>(file.size())},
                                      {"offset", static_cast<int64_t>(offset)}},
                                     inputs, options);
        const auto have = outputs["have"].as<int64_t>();
        return have.empty() || have[0] < 0 ? 0 : static_cast<uint64_t>(have[0]);
      } catch (const Error& error) {
        if (error.code() != VACCEL_RESOURCE_EXHAUSTED || error.retry_after().count() == 0) throw;
        std::this_thread::sleep_for(error.retry_after());
      }
    }
  }

  // Calls one of the functions for several images; `wanted` is what it has between the images and the options.
  template <typename Type, typename C, auto free, typename Function, typename... Wanted>
  std::vector<Type> run(Function function, const std::string& model, const std::vector<Image>& images,
                        const CallOptions& options, Wanted... wanted) const {
    const auto views = detail::views_of<vaccel_image>(images);
    detail::Batch<C, free> batch(images.size());
    detail::check(function(session_.get(), model.c_str(), views.data(), views.size(), wanted...,
                           detail::COptions(options).get(), batch.places()));
    return batch.take(detail::Made<Type>{});
  }

  std::unique_ptr<vaccel_session, detail::Free<vaccel_close>> session_;
};

}  // namespace vaccel

#endif  // VACCEL_VACCEL_HPP

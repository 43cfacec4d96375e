// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/session.h"

#include <poll.h>

#include <algorithm>
#include <limits>

#include "core/clock.h"

namespace vaccel::tool {
namespace {

using std::chrono::microseconds;

constexpr microseconds kConnectPatience = std::chrono::seconds(3);  // as the library's default
constexpr uint64_t kCancelPatienceUs = 1'000'000;

Status last_failure(vaccel_status code) {
  return {code, vaccel_error_message()};
}

uint64_t count_of(microseconds duration) {
  return static_cast<uint64_t>(duration.count());
}

// At least a millisecond, which is the library's unit and whose 0 means its default.
uint32_t connect_timeout_ms(const std::optional<microseconds>& deadline) {
  const microseconds patience =
      deadline && deadline->count() > 0 ? std::min(*deadline, kConnectPatience) : kConnectPatience;
  return static_cast<uint32_t>(std::max<int64_t>(1, (patience.count() + 999) / 1000));
}

// For poll(): until the deadline, rounded up; -1: for ever.
int milliseconds_until(int64_t deadline_ns) {
  if (deadline_ns == 0) return -1;
  const int64_t left = std::max<int64_t>(0, deadline_ns - now_ns());
  return static_cast<int>(std::min<int64_t>(left / 1'000'000 + 1, std::numeric_limits<int>::max()));
}

template <typename T>
Result<std::vector<Found>> take(vaccel_status (*taker)(vaccel_request*, T**), vaccel_request* request,
                                size_t count) {
  std::vector<T*> results(count);
  const vaccel_status status = taker(request, results.data());
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  std::vector<Found> found;
  for (T* result : results)
    found.emplace_back(Owned<T>(result));
  return found;
}

}  // namespace

Result<Session> Session::open(const CommonArguments& common, const Interrupt& interrupt) {
  vaccel_open_options options = VACCEL_INIT(vaccel_open_options);
  options.connect_timeout_ms = connect_timeout_ms(common.deadline);
  options.client_name = "vaccel/" VACCEL_VERSION_TEXT;
  vaccel_session* session = nullptr;
  const vaccel_status status =
      vaccel_open(common.endpoint ? common.endpoint->c_str() : nullptr, &options, &session);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  return Session(Owned<vaccel_session>(session), common, interrupt);
}

std::string Session::endpoint() const {
  return vaccel_session_endpoint(session_.get());
}

vaccel_call_options Session::options() const {
  vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
  options.flags = VACCEL_CALL_TIMINGS;
  if (deadline_) options.deadline_ns = vaccel_deadline_after_us(count_of(*deadline_));
  return options;
}

// Waits for a request, for Ctrl-C and for the deadline at the same time.
Status Session::complete(vaccel_request* request, int64_t deadline_ns) {
  const Interrupt::Watch watch(*interrupt_);
  while (true) {
    vaccel_request* completed = nullptr;
    const vaccel_status polled = vaccel_poll(session_.get(), &completed);
    if (polled != VACCEL_OK) return last_failure(polled);
    if (completed == request) break;
    if (interrupt_->happened()) {
      vaccel_cancel(request);
      // Whatever becomes of it: a second's courtesy, so that the other end hears of it.
      [[maybe_unused]] const vaccel_status ended =
          vaccel_wait(request, vaccel_deadline_after_us(kCancelPatienceUs));
      return {VACCEL_CANCELLED, "interrupted"};
    }
    const int session_fd = vaccel_session_fd(session_.get());
    if (session_fd < 0) return last_failure(VACCEL_INTERNAL);
    pollfd waiting[] = {{session_fd, POLLIN, 0}, {interrupt_->fd(), POLLIN, 0}};
    ::poll(waiting, std::size(waiting), milliseconds_until(deadline_ns));
  }
  const vaccel_status status = vaccel_request_status(request);
  return status == VACCEL_OK ? Status() : last_failure(status);
}

Result<std::vector<Found>> Session::vision(const std::string& operator_name, const std::string& model,
                                           std::span<const vaccel_image> images,
                                           const vaccel_vision_options& wanted) {
  const vaccel_call_options how = options();
  vaccel_request* submitted = nullptr;
  const vaccel_status status = vaccel_submit_vision(session_.get(), operator_name.c_str(), model.c_str(),
                                                    images.data(), images.size(), &wanted, &how, &submitted);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  const Owned<vaccel_request> request(submitted);
  if (Status completed = complete(submitted, how.deadline_ns); !completed.ok())
    return Unexpected{std::move(completed)};
  const size_t count = images.size();
  if (operator_name == "detect") return take(vaccel_request_detections, submitted, count);
  if (operator_name == "segment") return take(vaccel_request_segmentations, submitted, count);
  if (operator_name == "pose") return take(vaccel_request_poses, submitted, count);
  if (operator_name == "depth") return take(vaccel_request_depth_maps, submitted, count);
  return take(vaccel_request_classes, submitted, count);
}

Result<Owned<vaccel_outputs>> Session::infer(const std::string& model,
                                             std::span<const vaccel_tensor> inputs) {
  const vaccel_call_options how = options();
  vaccel_request* request = nullptr;
  const vaccel_status status =
      vaccel_submit_infer(session_.get(), model.c_str(), inputs.data(), inputs.size(), &how, &request);
  return outputs_of(status, Owned<vaccel_request>(request), how.deadline_ns);
}

Result<Owned<vaccel_outputs>> Session::call(const std::string& operator_name, const char* model,
                                            std::span<const vaccel_attribute> attributes,
                                            std::span<const vaccel_tensor> inputs) {
  const vaccel_call_options how = options();
  vaccel_request* request = nullptr;
  const vaccel_status status =
      vaccel_submit_call(session_.get(), operator_name.c_str(), model, attributes.data(), attributes.size(),
                         inputs.data(), inputs.size(), &how, &request);
  return outputs_of(status, Owned<vaccel_request>(request), how.deadline_ns);
}

Result<Owned<vaccel_outputs>> Session::outputs_of(vaccel_status submitted,
                                                  const Owned<vaccel_request>& request, int64_t deadline_ns) {
  if (submitted != VACCEL_OK) return Unexpected{last_failure(submitted)};
  if (Status completed = complete(request.get(), deadline_ns); !completed.ok())
    return Unexpected{std::move(completed)};
  vaccel_outputs* outputs = nullptr;
  const vaccel_status status = vaccel_request_outputs(request.get(), &outputs);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  return Owned<vaccel_outputs>(outputs);
}

Result<uint64_t> Session::ping(microseconds patience) {
  vaccel_call_options options = VACCEL_INIT(vaccel_call_options);
  options.deadline_ns = vaccel_deadline_after_us(count_of(deadline_.value_or(patience)));
  uint64_t round_trip_ns = 0;
  const vaccel_status status = vaccel_ping(session_.get(), &options, &round_trip_ns);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  return round_trip_ns;
}

Result<Owned<vaccel_model_list>> Session::models() {
  vaccel_model_list* list = nullptr;
  const vaccel_status status = vaccel_models(session_.get(), &list);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  return Owned<vaccel_model_list>(list);
}

Result<Owned<vaccel_operator_list>> Session::operators() {
  vaccel_operator_list* list = nullptr;
  const vaccel_status status = vaccel_operators(session_.get(), &list);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  return Owned<vaccel_operator_list>(list);
}

Result<Owned<vaccel_model>> Session::model(const std::string& name) {
  vaccel_model* model = nullptr;
  const vaccel_status status = vaccel_model_describe(session_.get(), name.c_str(), &model);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  return Owned<vaccel_model>(model);
}

Result<Owned<vaccel_agent>> Session::agent() {
  vaccel_agent* agent = nullptr;
  const vaccel_status status = vaccel_agent_describe(session_.get(), &agent);
  if (status != VACCEL_OK) return Unexpected{last_failure(status)};
  return Owned<vaccel_agent>(agent);
}

}  // namespace vaccel::tool

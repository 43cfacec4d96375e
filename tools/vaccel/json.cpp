// SPDX-License-Identifier: Apache-2.0
#include "tools/vaccel/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <type_traits>

#include "core/tensor.h"
#include "tools/vaccel/timings.h"

namespace vaccel::tool {
namespace {

using Json = nlohmann::ordered_json;

// ASCII only: safe for a terminal, and what is no UTF-8 becomes U+FFFD.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', true, Json::error_handler_t::replace);
}

double microseconds(uint64_t nanoseconds) {
  return static_cast<double>(nanoseconds) / 1e3;
}

Json real(double value) {
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  return value;
}

Json timings_of_call(const vaccel_timings& timings) {
  Json json = Json::object();
  for (const Stage& stage : kStages)
    json[std::string(stage.name) + "_us"] = microseconds(timings.*stage.nanoseconds);
  return json;
}

Json number(const Number& number) {
  return std::visit(
      [](auto value) -> Json {
        using Value = decltype(value);
        if constexpr (std::is_same_v<Value, std::monostate>) {
          return nullptr;
        } else if constexpr (std::is_floating_point_v<Value>) {
          return real(static_cast<double>(value));
        } else {
          return value;
        }
      },
      number);
}

Json summary_of(const TensorSummary& summary) {
  Json json{{"name", summary.name},          {"dtype", summary.dtype},     {"shape", summary.shape},
            {"min", number(summary.min)},    {"max", number(summary.max)}, {"mean", number(summary.mean)},
            {"nan_count", summary.nan_count}};
  if (!summary.file.empty()) json["file"] = summary.file;
  return json;
}

Json facts_of(const vaccel_model& model) {
  return {{"name", model.name},       {"task", model.task},       {"description", model.description},
          {"version", model.version}, {"license", model.license}, {"backend", model.backend},
          {"problem", model.problem}};
}

Json infos_of(const vaccel_tensor_info* infos, size_t count) {
  Json json = Json::array();
  for (const vaccel_tensor_info& info : std::span(infos, count)) {
    Json shape;  // null: any rank
    if (info.rank >= 0) shape = std::vector<int64_t>(info.shape, info.shape + info.rank);
    json.push_back({{"name", info.name}, {"dtype", dtype_name(info.dtype)}, {"shape", std::move(shape)}});
  }
  return json;
}

Json backends_of(const vaccel_agent& agent) {
  Json backends = Json::array();
  for (const vaccel_backend_info& backend : std::span(agent.backends, agent.backend_count)) {
    backends.push_back({{"name", backend.name},
                        {"version", backend.version},
                        {"devices", backend.devices},
                        {"problem", backend.problem}});
  }
  return backends;
}

Json parts_of(const vaccel_operator& one, vaccel_operator_part_kind kind) {
  Json parts = Json::array();
  for (const vaccel_operator_part& part : std::span(one.parts, one.part_count)) {
    if (part.kind != kind) continue;
    parts.push_back({{"name", part.name}, {"type", part.type}, {"description", part.description}});
  }
  return parts;
}

Json facts_of(const vaccel_operator& one) {
  Json backends = Json::array();
  for (const vaccel_operator_backend& backend : std::span(one.backends, one.backend_count)) {
    backends.push_back({{"name", backend.name},
                        {"dtype", backend.dtype != 0 ? Json(dtype_name(backend.dtype)) : Json(nullptr)},
                        {"score", backend.score != 0 ? Json(backend.score) : Json(nullptr)}});
  }
  return {{"name", one.name},
          {"description", one.description},
          {"inputs", parts_of(one, VACCEL_OPERATOR_INPUT)},
          {"outputs", parts_of(one, VACCEL_OPERATOR_OUTPUT)},
          {"attributes", parts_of(one, VACCEL_OPERATOR_ATTRIBUTE)},
          {"backends", std::move(backends)}};
}

Json real(float value) {
  return real(static_cast<double>(value));
}

void add(const vaccel_classes& classes, Json& json) {
  Json items = Json::array();
  for (const vaccel_class& item : std::span(classes.items, classes.count))
    items.push_back({{"index", item.index}, {"label", item.label}, {"score", real(item.score)}});
  json["classes"] = std::move(items);
}

void add(const vaccel_detections& detections, Json& json) {
  Json items = Json::array();
  for (const vaccel_detection& item : std::span(detections.items, detections.count)) {
    items.push_back({{"index", item.index},
                     {"label", item.label},
                     {"score", real(item.score)},
                     {"x", real(item.x)},
                     {"y", real(item.y)},
                     {"width", real(item.width)},
                     {"height", real(item.height)}});
  }
  json["width"] = detections.image_width;
  json["height"] = detections.image_height;
  json["detections"] = std::move(items);
}

// Of a result with two maps.
template <typename T>
void add_sizes(const T& result, Json& json) {
  json["width"] = result.width;
  json["height"] = result.height;
  json["model_width"] = result.model_width;
  json["model_height"] = result.model_height;
}

void add(const vaccel_segmentation& segmentation, Json& json) {
  add_sizes(segmentation, json);
  Json items = Json::array();
  for (const ClassShare& share : class_shares(segmentation)) {
    items.push_back({{"index", share.index},
                     {"label", segmentation.labels[share.index]},
                     {"pixels", share.pixels},
                     {"share", share.part}});
  }
  json["classes"] = std::move(items);
}

void add(const vaccel_poses& poses, Json& json) {
  Json items = Json::array();
  for (const vaccel_pose_item& pose : std::span(poses.items, poses.count)) {
    Json keypoints = Json::array();
    for (const vaccel_keypoint& point : std::span(pose.keypoints, pose.keypoint_count)) {
      keypoints.push_back(
          {{"name", point.name}, {"score", real(point.score)}, {"x", real(point.x)}, {"y", real(point.y)}});
    }
    items.push_back({{"score", real(pose.score)}, {"keypoints", std::move(keypoints)}});
  }
  json["width"] = poses.image_width;
  json["height"] = poses.image_height;
  json["poses"] = std::move(items);
}

void add(const vaccel_depth_map& map, Json& json) {
  json["kind"] = depth_kind_name(map.kind);
  add_sizes(map, json);
  const auto range = depth_range(map);
  json["min"] = range ? real(range->least) : Json(nullptr);
  json["median"] = range ? real(range->median) : Json(nullptr);
  json["max"] = range ? real(range->most) : Json(nullptr);
}

void add_found(const PhotoResult& photo, Json& json) {
  std::visit([&](const auto& found) { add(*found, json); }, *photo.found);
  if (!photo.drawing.empty()) json["drawing"] = photo.drawing;
}

}  // namespace

std::string json_of_error(const Status& status) {
  return text_of({{"error", {{"code", status_name(status.code())}, {"message", status.message()}}}});
}

std::string json_of_upload(const std::string& endpoint, const std::string& model, uint64_t bytes,
                           uint64_t sent_bytes) {
  return text_of({{"endpoint", endpoint}, {"model", model}, {"bytes", bytes}, {"sent_bytes", sent_bytes}});
}

std::string json_of_deletion(const std::string& endpoint, const std::string& model) {
  return text_of({{"endpoint", endpoint}, {"model", model}, {"deleted", true}});
}

std::string json_of_photos(const std::string& model, const std::string& endpoint,
                           std::span<const PhotoResult> photos, std::span<const vaccel_timings> runs) {
  Json json{{"model", model}, {"endpoint", endpoint}};
  if (photos.size() == 1) {
    add_found(photos[0], json);
  } else {
    Json each = Json::array();
    for (const PhotoResult& photo : photos) {
      each.push_back({{"photo", photo.photo}});
      add_found(photo, each.back());
    }
    json["photos"] = std::move(each);
  }
  json["timings"] = timings_of_call(median_of(runs));
  json["copied_bytes"] = copied_bytes_of(*photos[0].found);
  if (runs.size() > 1) {
    Json each = Json::array();
    for (const vaccel_timings& run : runs)
      each.push_back(timings_of_call(run));
    json["runs"] = std::move(each);
  }
  return text_of(json);
}

std::string json_of_outputs(const std::string& operator_name, const char* model, const std::string& endpoint,
                            std::span<const TensorSummary> summaries, const vaccel_outputs& outputs) {
  Json tensors = Json::array();
  for (const TensorSummary& summary : summaries)
    tensors.push_back(summary_of(summary));
  return text_of({{"operator", operator_name},
                  {"model", model != nullptr ? Json(model) : Json(nullptr)},
                  {"endpoint", endpoint},
                  {"outputs", std::move(tensors)},
                  {"timings", timings_of_call(outputs.timings)},
                  {"copied_bytes", outputs.copied_bytes}});
}

std::string json_of_models(const std::string& endpoint, const vaccel_model_list& list) {
  Json models = Json::array();
  for (const vaccel_model* model : std::span(list.models, list.count))
    models.push_back(facts_of(*model));
  return text_of({{"endpoint", endpoint}, {"models", std::move(models)}});
}

std::string json_of_model(const std::string& endpoint, const vaccel_model& model) {
  Json facts = facts_of(model);
  facts["inputs"] = infos_of(model.inputs, model.input_count);
  facts["outputs"] = infos_of(model.outputs, model.output_count);
  Json metadata = Json::object();
  for (const vaccel_metadata& pair : std::span(model.metadata, model.metadata_count))
    metadata[pair.key] = pair.value;
  facts["metadata"] = std::move(metadata);
  return text_of({{"endpoint", endpoint}, {"model", std::move(facts)}});
}

std::string json_of_agent(const vaccel_agent& agent, const std::string& transport) {
  return text_of({{"endpoint", agent.endpoint},
                  {"transport", transport},
                  {"library", vaccel_version()},
                  {"agent", agent.version},
                  {"protocol", agent.protocol_version},
                  {"workers", agent.worker_count},
                  {"models", agent.model_count},
                  {"limits",
                   {{"max_payload_bytes", agent.max_payload_bytes},
                    {"max_calls_in_flight", agent.max_calls_in_flight},
                    {"window_bytes", agent.window_bytes}}},
                  {"window", agent.window},
                  {"backends", backends_of(agent)}});
}

std::string json_of_backends(const vaccel_agent& agent) {
  return text_of({{"endpoint", agent.endpoint}, {"backends", backends_of(agent)}});
}

std::string json_of_operators(const std::string& endpoint, const vaccel_operator_list& list) {
  Json operators = Json::array();
  for (const vaccel_operator* one : std::span(list.operators, list.count))
    operators.push_back(facts_of(*one));
  return text_of({{"endpoint", endpoint}, {"operators", std::move(operators)}});
}

std::string json_of_operator(const std::string& endpoint, const vaccel_operator& one) {
  return text_of({{"endpoint", endpoint}, {"operator", facts_of(one)}});
}

std::string json_of_pings(const std::string& endpoint, uint32_t sent,
                          std::span<const uint64_t> round_trips_ns) {
  Json json{{"endpoint", endpoint}, {"sent", sent}, {"received", round_trips_ns.size()}};
  Json each = Json::array();
  for (const uint64_t round_trip : round_trips_ns)
    each.push_back(microseconds(round_trip));
  json["round_trips_us"] = std::move(each);
  if (!round_trips_ns.empty()) {
    const auto [least, most] = std::minmax_element(round_trips_ns.begin(), round_trips_ns.end());
    const auto sum = std::accumulate(round_trips_ns.begin(), round_trips_ns.end(), uint64_t{0});
    json["min_us"] = microseconds(*least);
    json["avg_us"] = microseconds(sum) / static_cast<double>(round_trips_ns.size());
    json["max_us"] = microseconds(*most);
  }
  return text_of(json);
}

}  // namespace vaccel::tool

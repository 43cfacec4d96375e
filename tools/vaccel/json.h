// SPDX-License-Identifier: Apache-2.0
//
// The objects that --json prints: the tool's interface to scripts, all in one place. Fields may be added; none is renamed or
// given another meaning. ASCII only, and numbers exactly as they came: a float's score has the digits that make the same float
// again. JSON has no infinity: it is written as the string "inf" or "-inf". Times are in microseconds, with fractions.
#pragma once

#include <span>
#include <string>

#include "core/status.h"
#include "tools/vaccel/found.h"
#include "tools/vaccel/tensor_summary.h"
#include "vaccel/vaccel.h"

namespace vaccel::tool {

/// {"error": {"code": "NOT_FOUND", "message": "..."}}
std::string json_of_error(const Status& status);

/// What a vision operator found in a photo.
struct PhotoResult {
  std::string photo;
  const Found* found;
  std::string drawing;  ///< The picture that was drawn; "": none.
};

/// Of one photo {"model", "endpoint", what was found, "drawing", "timings": {"total_us", ...}, "copied_bytes"}; of several {"model",
/// "endpoint", "photos": [{"photo", what was found, "drawing"}], "timings", "copied_bytes"}. "drawing" is there where something was
/// drawn. Of several runs, "timings" has the medians, "runs" the timings of each, and "copied_bytes" is of the last. What was found:
///   classify  "classes": [{"index", "label", "score"}]
///   detect    "width", "height" (of the photo), "detections": [{"index", "label", "score", "x", "y", "width", "height"}]
///   segment   "width", "height", "model_width", "model_height", "classes": [{"index", "label", "pixels", "share"}], the largest first
///   pose      "width", "height", "poses": [{"score", "keypoints": [{"name", "score", "x", "y"}]}]
///   depth     "kind", "width", "height", "model_width", "model_height", "min", "median", "max"; null where no number is finite
std::string json_of_photos(const std::string& model, const std::string& endpoint,
                           std::span<const PhotoResult> photos, std::span<const vaccel_timings> runs);

/// {"operator", "model", "endpoint", "outputs": [{"name", "dtype", "shape", "min", "max", "mean", "nan_count", "file"}], "timings",
/// "copied_bytes"}; "model" is null for operators without one; "file" is there where the output was written to one.
std::string json_of_upload(const std::string& endpoint, const std::string& model, uint64_t bytes,
                           uint64_t sent_bytes);

std::string json_of_deletion(const std::string& endpoint, const std::string& model);

std::string json_of_outputs(const std::string& operator_name, const char* model, const std::string& endpoint,
                            std::span<const TensorSummary> summaries, const vaccel_outputs& outputs);

/// {"endpoint", "models": [{"name", "task", "description", "version", "license", "backend", "problem"}]}
std::string json_of_models(const std::string& endpoint, const vaccel_model_list& list);

/// {"endpoint", "model": {the same, "inputs": [{"name", "dtype", "shape"}], "outputs", "metadata": {KEY: "..."}}}; -1 in a shape is any size, and a shape that is null
/// any rank.
std::string json_of_model(const std::string& endpoint, const vaccel_model& model);

/// {"endpoint", "transport", "library", "agent", "protocol", "workers", "models", "limits": {"max_payload_bytes", "max_calls_in_flight",
/// "window_bytes"}, "window", "backends": [{"name", "version", "devices", "problem"}]}
std::string json_of_agent(const vaccel_agent& agent, const std::string& transport);

/// {"endpoint", "backends": [as above]}
std::string json_of_backends(const vaccel_agent& agent);

/// {"endpoint", "operators": [{"name", "description", "inputs": [{"name", "type", "description"}], "outputs", "attributes",
/// "backends": [{"name", "dtype", "score"}]}]}; types are for people. "dtype" and "score" are null where a backend takes all that
/// the operator takes.
std::string json_of_operators(const std::string& endpoint, const vaccel_operator_list& list);

/// {"endpoint", "operator": {the same}}
std::string json_of_operator(const std::string& endpoint, const vaccel_operator& one);

/// {"endpoint", "sent", "received", "round_trips_us": [...], "min_us", "avg_us", "max_us"}
std::string json_of_pings(const std::string& endpoint, uint32_t sent,
                          std::span<const uint64_t> round_trips_ns);

}  // namespace vaccel::tool

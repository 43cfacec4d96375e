// SPDX-License-Identifier: Apache-2.0
//
// The C API of the vision operators. The five differ in what they take and in the type of what they return, and in
// nothing else: each function here says these two and leaves the rest to run() and take().
#include <cstring>
#include <span>
#include <utility>

#include "client/api.h"
#include "client/error.h"
#include "client/vision_arguments.h"
#include "client/vision_results.h"
#include "vaccel/vaccel.h"

using vaccel::failure;
using vaccel::Status;
using vaccel::client::CallSpec;
using vaccel::client::free_vision_result;
using vaccel::client::is_null;
using vaccel::client::OutputsPtr;
using vaccel::client::report;
using vaccel::client::VisionArguments;
using vaccel::client::VisionOperator;

namespace {

using Images = std::span<const vaccel_image>;

// One image is an array of one.
vaccel_image image_of(const void* data, size_t bytes) {
  return {data, bytes, {0, 0}};
}

vaccel_vision_options only_top(uint32_t top) {
  return {sizeof(vaccel_vision_options), 0, 0, top, 0};
}

// Everything of a call but its options.
Status set_call(VisionOperator which, const char* model, Images images, const vaccel_vision_options* wanted,
                VisionArguments& arguments, CallSpec& spec) {
  if (Status status = arguments.set_images(images.data(), images.size()); !status.ok()) return status;
  if (Status status = arguments.set_wanted(which, wanted); !status.ok()) return status;
  return arguments.fill(which, model, spec);
}

// Hands out what became of `count` images, all of it or nothing. `results` is an array of pointers to one of the result
// types, which all look the same in memory.
vaccel_status hand_out(VisionOperator which, OutputsPtr outputs, size_t count, void* results) {
  void* made[VACCEL_MAX_IMAGES];
  if (Status status = vaccel::client::make_vision_results(which, std::move(outputs), {made, count});
      !status.ok())
    return report(status);
  std::memcpy(results, made, count * sizeof made[0]);
  return VACCEL_OK;
}

vaccel_status run(VisionOperator which, vaccel_session* session, const char* model, Images images,
                  const vaccel_vision_options* wanted, const vaccel_call_options* options, void* results) {
  if (session == nullptr) return report(is_null("the session"));
  if (results == nullptr) return report(is_null("the place for the results"));
  CallSpec spec;
  if (Status status = vaccel::client::read_options(options, spec); !status.ok()) return report(status);
  VisionArguments arguments;
  if (Status status = set_call(which, model, images, wanted, arguments, spec); !status.ok())
    return report(status);
  vaccel_outputs* outputs = nullptr;
  if (const vaccel_status status = vaccel::client::call(session, spec, &outputs); status != VACCEL_OK)
    return status;
  return hand_out(which, OutputsPtr{outputs}, images.size(), results);
}

vaccel_status take(VisionOperator which, vaccel_request* request, void* results) {
  if (Status status = vaccel::client::check_takable(request, results); !status.ok()) return report(status);
  if (request->traits.which != which) {
    return report(failure(VACCEL_INVALID_ARGUMENT, "the request is not one of the operator '%s'",
                          vaccel::client::name_of(which)));
  }
  if (!request->outputs()) return report(vaccel::client::already_taken());
  return hand_out(which, std::move(request->outputs()), request->traits.image_count, results);
}

vaccel_status submit(VisionOperator which, vaccel_session* session, const char* model, Images images,
                     const vaccel_vision_options* wanted, const vaccel_call_options* options,
                     vaccel_request** request) {
  if (session == nullptr) return report(is_null("the session"));
  if (request == nullptr) return report(is_null("the place for the request"));
  CallSpec spec;
  vaccel::client::RequestTraits traits{.which = which, .image_count = static_cast<uint32_t>(images.size())};
  if (Status status = vaccel::client::read_options(options, spec, &traits.user_data); !status.ok())
    return report(status);
  VisionArguments arguments;
  if (Status status = set_call(which, model, images, wanted, arguments, spec); !status.ok())
    return report(status);
  return vaccel::client::submit(session, spec, traits, request);
}

}  // namespace

// ---- One image

vaccel_status vaccel_classify(vaccel_session* session, const char* model, const void* image,
                              size_t image_size, uint32_t top, const vaccel_call_options* options,
                              vaccel_classes** classes) {
  const vaccel_image one = image_of(image, image_size);
  return vaccel_classify_batch(session, model, &one, 1, top, options, classes);
}

vaccel_status vaccel_detect(vaccel_session* session, const char* model, const void* image, size_t image_size,
                            const vaccel_vision_options* wanted, const vaccel_call_options* options,
                            vaccel_detections** detections) {
  const vaccel_image one = image_of(image, image_size);
  return vaccel_detect_batch(session, model, &one, 1, wanted, options, detections);
}

vaccel_status vaccel_segment(vaccel_session* session, const char* model, const void* image, size_t image_size,
                             const vaccel_call_options* options, vaccel_segmentation** segmentation) {
  const vaccel_image one = image_of(image, image_size);
  return vaccel_segment_batch(session, model, &one, 1, options, segmentation);
}

vaccel_status vaccel_pose(vaccel_session* session, const char* model, const void* image, size_t image_size,
                          const vaccel_vision_options* wanted, const vaccel_call_options* options,
                          vaccel_poses** poses) {
  const vaccel_image one = image_of(image, image_size);
  return vaccel_pose_batch(session, model, &one, 1, wanted, options, poses);
}

vaccel_status vaccel_depth(vaccel_session* session, const char* model, const void* image, size_t image_size,
                           const vaccel_call_options* options, vaccel_depth_map** map) {
  const vaccel_image one = image_of(image, image_size);
  return vaccel_depth_batch(session, model, &one, 1, options, map);
}

// ---- Several images

vaccel_status vaccel_classify_batch(vaccel_session* session, const char* model, const vaccel_image* images,
                                    size_t image_count, uint32_t top, const vaccel_call_options* options,
                                    vaccel_classes** results) {
  const vaccel_vision_options wanted = only_top(top);
  return run(VisionOperator::kClassify, session, model, {images, image_count}, &wanted, options, results);
}

vaccel_status vaccel_detect_batch(vaccel_session* session, const char* model, const vaccel_image* images,
                                  size_t image_count, const vaccel_vision_options* wanted,
                                  const vaccel_call_options* options, vaccel_detections** results) {
  return run(VisionOperator::kDetect, session, model, {images, image_count}, wanted, options, results);
}

vaccel_status vaccel_segment_batch(vaccel_session* session, const char* model, const vaccel_image* images,
                                   size_t image_count, const vaccel_call_options* options,
                                   vaccel_segmentation** results) {
  return run(VisionOperator::kSegment, session, model, {images, image_count}, nullptr, options, results);
}

vaccel_status vaccel_pose_batch(vaccel_session* session, const char* model, const vaccel_image* images,
                                size_t image_count, const vaccel_vision_options* wanted,
                                const vaccel_call_options* options, vaccel_poses** results) {
  return run(VisionOperator::kPose, session, model, {images, image_count}, wanted, options, results);
}

vaccel_status vaccel_depth_batch(vaccel_session* session, const char* model, const vaccel_image* images,
                                 size_t image_count, const vaccel_call_options* options,
                                 vaccel_depth_map** results) {
  return run(VisionOperator::kDepth, session, model, {images, image_count}, nullptr, options, results);
}

// ---- Calls that do not block

vaccel_status vaccel_submit_classify(vaccel_session* session, const char* model, const void* image,
                                     size_t image_size, uint32_t top, const vaccel_call_options* options,
                                     vaccel_request** request) {
  const vaccel_image one = image_of(image, image_size);
  const vaccel_vision_options wanted = only_top(top);
  return submit(VisionOperator::kClassify, session, model, {&one, 1}, &wanted, options, request);
}

vaccel_status vaccel_submit_vision(vaccel_session* session, const char* operator_name, const char* model,
                                   const vaccel_image* images, size_t image_count,
                                   const vaccel_vision_options* wanted, const vaccel_call_options* options,
                                   vaccel_request** request) {
  if (Status status = vaccel::client::check_name(operator_name, "operator's name"); !status.ok())
    return report(status);
  const VisionOperator which = vaccel::client::vision_operator_named(operator_name);
  if (which == VisionOperator::kNone) {
    return report(failure(VACCEL_INVALID_ARGUMENT,
                          "'%s' is no vision operator; those are classify, detect, segment, pose and depth",
                          vaccel::printable(operator_name).c_str()));
  }
  return submit(which, session, model, {images, image_count}, wanted, options, request);
}

vaccel_status vaccel_request_classes(vaccel_request* request, vaccel_classes** classes) {
  return take(VisionOperator::kClassify, request, classes);
}

vaccel_status vaccel_request_detections(vaccel_request* request, vaccel_detections** results) {
  return take(VisionOperator::kDetect, request, results);
}

vaccel_status vaccel_request_segmentations(vaccel_request* request, vaccel_segmentation** results) {
  return take(VisionOperator::kSegment, request, results);
}

vaccel_status vaccel_request_poses(vaccel_request* request, vaccel_poses** results) {
  return take(VisionOperator::kPose, request, results);
}

vaccel_status vaccel_request_depth_maps(vaccel_request* request, vaccel_depth_map** results) {
  return take(VisionOperator::kDepth, request, results);
}

// ---- Results

void vaccel_classes_free(vaccel_classes* classes) {
  free_vision_result(classes);
}

void vaccel_detections_free(vaccel_detections* detections) {
  free_vision_result(detections);
}

void vaccel_segmentation_free(vaccel_segmentation* segmentation) {
  free_vision_result(segmentation);
}

void vaccel_poses_free(vaccel_poses* poses) {
  free_vision_result(poses);
}

void vaccel_depth_map_free(vaccel_depth_map* map) {
  free_vision_result(map);
}

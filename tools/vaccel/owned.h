// SPDX-License-Identifier: Apache-2.0
//
// What the library hands out, freed with its own functions.
#pragma once

#include <memory>

#include "vaccel/vaccel.h"

namespace vaccel::tool {

struct Free {
  void operator()(vaccel_session* session) const { vaccel_close(session); }
  void operator()(vaccel_request* request) const { vaccel_request_free(request); }
  void operator()(vaccel_outputs* outputs) const { vaccel_outputs_free(outputs); }
  void operator()(vaccel_classes* classes) const { vaccel_classes_free(classes); }
  void operator()(vaccel_detections* detections) const { vaccel_detections_free(detections); }
  void operator()(vaccel_segmentation* segmentation) const { vaccel_segmentation_free(segmentation); }
  void operator()(vaccel_poses* poses) const { vaccel_poses_free(poses); }
  void operator()(vaccel_depth_map* map) const { vaccel_depth_map_free(map); }
  void operator()(vaccel_model* model) const { vaccel_model_free(model); }
  void operator()(vaccel_model_list* list) const { vaccel_model_list_free(list); }
  void operator()(vaccel_operator_list* list) const { vaccel_operator_list_free(list); }
  void operator()(vaccel_agent* agent) const { vaccel_agent_free(agent); }
};

template <typename T>
using Owned = std::unique_ptr<T, Free>;

}  // namespace vaccel::tool

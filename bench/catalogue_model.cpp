// SPDX-License-Identifier: Apache-2.0
#include "catalogue_model.h"

#include <utility>

#include "failure.h"
#include "models_beside.h"
#include "runtime/scratch.h"
#include "runtime/vision/image_decode.h"
#include "runtime/vision/image_prepare.h"

namespace vaccel::bench {
namespace {

constexpr int64_t kChannels = 3;

runtime::Catalogue read_catalogue(const Setting& setting, const char* model) {
  auto catalogue = runtime::Catalogue::read(setting.catalogue);
  if (!catalogue) give_up("%s; scripts/make-catalogue makes one", catalogue.error().message().c_str());
  const runtime::CatalogueEntry* entry = catalogue->find(model);
  if (entry == nullptr)
    give_up("there is no model '%s' in %s; scripts/make-catalogue makes it", model,
            setting.catalogue.c_str());
  if (!entry->problem.empty()) give_up("model '%s': %s", model, entry->problem.c_str());
  if (!entry->model.image) give_up("model '%s' takes no picture", model);
  return std::move(*catalogue);
}

}  // namespace

bool is_in_catalogue(const Setting& setting, const char* model) {
  std::error_code error;
  return std::filesystem::exists(setting.catalogue / model / "model.toml", error);
}

CatalogueModel::CatalogueModel(const Setting& setting, const char* model)
    : catalogue_(read_catalogue(setting, model)), entry_(*catalogue_.find(model)) {}

std::vector<int64_t> CatalogueModel::input_shape() const {
  const runtime::ImageInput& image = *description().image;
  if (image.layout == runtime::Layout::kNhwc) return {1, image.height, image.width, kChannels};
  return {1, kChannels, image.height, image.width};
}

std::vector<float> CatalogueModel::prepared(const std::filesystem::path& photo) const {
  const runtime::ImageInput& image = *description().image;
  runtime::Scratch pixels;
  const auto picture = runtime::decode_image(read_file(photo), {}, pixels);
  if (!picture) give_up("%s: %s", photo.c_str(), picture.error().message().c_str());
  std::vector<float> tensor(size_t{kChannels} * image.height * image.width);
  runtime::prepare_image(*picture, image, tensor.data());
  return tensor;
}

}  // namespace vaccel::bench

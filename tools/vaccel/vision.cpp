// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "tools/vaccel/commands.h"
#include "tools/vaccel/drawing/picture_file.h"
#include "tools/vaccel/drawing/results.h"
#include "tools/vaccel/file.h"
#include "tools/vaccel/found_text.h"
#include "tools/vaccel/json.h"
#include "tools/vaccel/session.h"
#include "tools/vaccel/timings.h"

namespace vaccel::tool {
namespace {

constexpr uint64_t kMostPhotoBytes = uint64_t{1} << 30;

// The model that is meant where a catalogue has several for one task.
struct UsualModel {
  std::string_view task;
  const char* name;
};
constexpr UsualModel kUsualModels[] = {{"classify", "mobilenet"},
                                       {"detect", "ssd-mobilenet"},
                                       {"segment", "deeplabv3"},
                                       {"pose", "posenet"},
                                       {"depth", "fastdepth"}};

// The only model for the task, usable or not (then the agent says why); else the usual one, if it is there.
Result<std::string> choose_model(Session& session, const std::string& task) {
  const auto list = session.models();
  if (!list) return Unexpected{list.error()};
  std::vector<std::string> names;
  for (const vaccel_model* model : std::span((*list)->models, (*list)->count)) {
    if (model->task == task) names.emplace_back(model->name);
  }
  if (names.size() == 1) return names.front();
  if (names.empty()) {
    return fail(VACCEL_NOT_FOUND, "there is no model at %s whose task is '%s'; 'vaccel models' lists all",
                session.endpoint().c_str(), task.c_str());
  }
  for (const UsualModel& usual : kUsualModels) {
    if (usual.task == task && std::find(names.begin(), names.end(), usual.name) != names.end())
      return usual.name;
  }
  std::string all;
  for (const std::string& name : names)
    all += (all.empty() ? "" : ", ") + name;
  return fail(VACCEL_INVALID_ARGUMENT, "there are %zu models whose task is '%s': %s; say which with --model",
              names.size(), task.c_str(), all.c_str());
}

struct Photo {
  std::string path;
  std::vector<std::byte> file;
  std::string drawing;           // where to draw; "": nowhere
  std::optional<Canvas> canvas;  // to draw on
};

// "pictures/cat.png" for the photo "photos/cat.jpg".
std::string drawing_in(const std::string& folder, const std::string& photo) {
  std::string name = photo == "-" ? "standard-input" : photo.substr(photo.find_last_of('/') + 1);
  name.resize(std::min(name.size(), std::max<size_t>(1, name.find_last_of('.'))));
  return folder + (folder.ends_with('/') ? "" : "/") + name + ".png";
}

// Says where each photo's picture goes.
Status plan_drawings(const std::string& output, std::vector<Photo>& photos) {
  std::set<std::string> taken;
  for (Photo& photo : photos) {
    photo.drawing = photos.size() == 1 ? output : drawing_in(output, photo.path);
    if (!taken.insert(photo.drawing).second) {
      return failure(VACCEL_INVALID_ARGUMENT, "two photos would be drawn to %s; give them different names",
                     photo.drawing.c_str());
    }
    if (photos.size() > 1 && photo.drawing == photo.path) {
      return failure(VACCEL_INVALID_ARGUMENT, "%s would be drawn over; choose another folder",
                     photo.path.c_str());
    }
  }
  return photos.size() == 1 ? Status() : make_folder(output);
}

Result<std::vector<Photo>> read_photos(const VisionArguments& arguments) {
  std::vector<Photo> photos;
  for (const std::string& path : arguments.photos) {
    auto file = read_file(path, kMostPhotoBytes);
    if (!file) return Unexpected{file.error()};
    photos.push_back({path, std::move(*file), "", std::nullopt});
  }
  if (!arguments.output) return photos;
  for (Photo& photo : photos) {
    auto canvas = read_picture(photo.file);
    if (!canvas) return Unexpected{canvas.error().within(photo.path)};
    photo.canvas = std::move(*canvas);
  }
  if (Status status = plan_drawings(*arguments.output, photos); !status.ok())
    return Unexpected{std::move(status)};
  return photos;
}

// A drawing for each result that has one; classes are only said.
Status draw_found(const vaccel_classes&, Canvas&) {
  return {};
}
template <typename T>
Status draw_found(const T& found, Canvas& canvas) {
  return draw(found, canvas);
}

Status write_drawing(const Found& found, Photo& photo) {
  Status drawn = std::visit([&](const auto& result) { return draw_found(*result, *photo.canvas); }, found);
  if (!drawn.ok()) return drawn.within(photo.path);
  const auto png = png_of(*photo.canvas);
  if (!png) return png.error();
  return write_file(photo.drawing, *png);
}

void print(std::span<const Photo> photos, std::span<const Found> found, std::span<const vaccel_timings> runs,
           Output& output) {
  for (size_t index = 0; index < photos.size(); ++index) {
    if (photos.size() > 1) output.line(photos[index].path + ":");
    print_found(found[index], output);
    if (!photos[index].drawing.empty()) output.line("drawn to " + photos[index].drawing);
    output.line("");
  }
  print_timings(runs, output);
  print_copied(copied_bytes_of(found[0]), output);
}

void print_json(const std::string& model, const std::string& endpoint, std::span<const Photo> photos,
                std::span<const Found> found, std::span<const vaccel_timings> runs, Output& output) {
  std::vector<PhotoResult> results;
  for (size_t index = 0; index < photos.size(); ++index)
    results.push_back({photos[index].path, &found[index], photos[index].drawing});
  output.object(json_of_photos(model, endpoint, results, runs));
}

vaccel_vision_options wanted_of(const VisionArguments& arguments) {
  vaccel_vision_options wanted = VACCEL_INIT(vaccel_vision_options);
  wanted.top = arguments.top;
  // 0 would mean the model's own.
  if (arguments.min_score) wanted.min_score = *arguments.min_score > 0 ? *arguments.min_score : -1;
  return wanted;
}

}  // namespace

Status run_command(const VisionArguments& arguments, const Context& context) {
  auto photos = read_photos(arguments);
  if (!photos) return photos.error();
  auto session = Session::open(context.common, context.interrupt);
  if (!session) return session.error();
  const auto model = arguments.model ? Result<std::string>(*arguments.model)
                                     : choose_model(*session, arguments.operator_name);
  if (!model) return model.error();

  std::vector<vaccel_image> images;
  for (const Photo& photo : *photos)
    images.push_back({photo.file.data(), photo.file.size(), {0, 0}});
  std::vector<Found> found;
  std::vector<vaccel_timings> runs;
  while (runs.size() < arguments.repeat) {
    auto result = session->vision(arguments.operator_name, *model, images, wanted_of(arguments));
    if (!result) return result.error();
    found = std::move(*result);
    runs.push_back(timings_of(found[0]));
  }

  for (size_t index = 0; index < photos->size(); ++index) {
    if ((*photos)[index].drawing.empty()) continue;
    if (Status status = write_drawing(found[index], (*photos)[index]); !status.ok()) return status;
  }
  if (context.output.json()) {
    print_json(*model, session->endpoint(), *photos, found, runs, context.output);
  } else {
    print(*photos, found, runs, context.output);
  }
  return {};
}

}  // namespace vaccel::tool

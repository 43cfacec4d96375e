// SPDX-License-Identifier: Apache-2.0
//
// Catalogues with models that are wrong: each is refused by its name and with its reason, and the others serve.
#include <gtest/gtest.h>

#include "support/agent_process.h"
#include "support/library.h"
#include "support/raw_client.h"
#include "support/real_parts.h"

namespace vaccel::integration {
namespace {

namespace fs = std::filesystem;

// A copy of MobileNet under another name, with one thing changed in its model.toml.
void copy_model(const fs::path& catalogue, const std::string& name, const std::string& from,
                const std::string& to) {
  const fs::path source = real_catalogue() / "mobilenet";
  const fs::path folder = catalogue / name;
  fs::create_directories(folder);
  fs::copy_file(source / "model.onnx", folder / "model.onnx");
  fs::copy_file(source / "labels.txt", folder / "labels.txt");
  std::string text = read_file(source / "model.toml");
  const auto replace = [&](const std::string& old, const std::string& by) {
    const size_t at = text.find(old);
    ASSERT_NE(at, std::string::npos) << old;
    text.replace(at, old.size(), by);
  };
  replace("name = \"mobilenet\"", "name = \"" + name + "\"");
  if (!from.empty()) replace(from, to);
  write_file(folder / "model.toml", text);
}

std::string line_with(const std::string& text, const std::string& words) {
  const size_t at = text.find(words);
  const size_t begin = text.rfind('\n', at) + 1;
  return text.substr(begin, text.find('\n', at) - begin);
}

TEST(CatalogueOfTheAgent, ModelsThatAreWrongAreRefusedByNameAndTheOthersServe) {
  VACCEL_NEEDS_MOBILENET();
  VACCEL_NEEDS(photo("chelsea.png"));
  const TemporaryFolder folder;
  const fs::path catalogue = folder.path();
  const std::string real = read_file(real_catalogue() / "mobilenet" / "model.toml");
  copy_model(catalogue, "good", "", "");
  copy_model(catalogue, "missing-file", "", "");
  fs::remove(catalogue / "missing-file" / "model.onnx");
  copy_model(catalogue, "missing-labels", "", "");
  fs::remove(catalogue / "missing-labels" / "labels.txt");
  copy_model(catalogue, "wrong-hash", line_with(real, "sha256 = "),
             "sha256 = \"" + std::string(64, 'a') + "\"");
  copy_model(catalogue, "unknown-key", "[image]", "[image]\nsurprise = 1");
  copy_model(catalogue, "wrong-type", "width = 224", "width = \"224\"");
  copy_model(catalogue, "not-toml", "[image]", "[image");
  copy_model(catalogue, "no-backend", "\"onnxruntime\"", "\"no-such\"");
  copy_model(catalogue, "wrong-input", "input = \"input\"", "input = \"nowhere\"");
  copy_model(catalogue, "way-out", "\"model.onnx\"", "\"../good/model.onnx\"");
  copy_model(catalogue, "no-model", "", "");
  write_file(catalogue / "no-model" / "model.onnx", "this is no model");
  fs::create_directories(catalogue / "empty-folder");
  fs::create_directories(catalogue / "Bad Name");
  write_file(catalogue / "README.txt", "not a model");

  const AgentProcess agent({.catalogue = catalogue, .all_backends = true});
  const Session session(agent.endpoint());
  const auto image = file_bytes(photo("chelsea.png"));
  const auto list =
      given<ModelListPtr>([&](vaccel_model_list** models) { return vaccel_models(session.get(), models); });
  ASSERT_TRUE(list.ok()) << list.text();
  std::map<std::string, std::string> problems;
  for (size_t index = 0; index < list.value->count; ++index)
    problems[list.value->models[index]->name] = list.value->models[index]->problem;
  EXPECT_EQ(problems.size(), 13u);

  struct Wrong {
    const char* name;
    const char* says;      // when it is used
    bool is_listed_wrong;  // before anyone has tried to load it
  };
  for (const Wrong& one : {Wrong{"missing-file", "model.onnx is missing", true},
                           {"missing-labels", "labels.txt is missing", true},
                           {"wrong-hash", "SHA-256", false},
                           {"unknown-key", "surprise", true},
                           {"wrong-type", "width", true},
                           {"not-toml", "model.toml:", true},
                           {"no-backend", "no-such", false},
                           {"wrong-input", "nowhere", false},
                           {"way-out", "own folder", true},
                           {"no-model", "SHA-256", false},
                           {"empty-folder", "model.toml", true}}) {
    SCOPED_TRACE(one.name);
    ASSERT_TRUE(problems.contains(one.name));
    EXPECT_EQ(!problems[one.name].empty(), one.is_listed_wrong) << problems[one.name];
    const auto refused = session.classify(one.name, image);
    EXPECT_FALSE(refused.ok());
    EXPECT_NE(refused.status, VACCEL_INTERNAL) << refused.text();
    EXPECT_TRUE(refused.says(one.name)) << refused.text();
    EXPECT_TRUE(refused.says(one.says)) << refused.text();
    if (one.is_listed_wrong) {
      EXPECT_NE(agent.log().find(std::string("model '") + one.name + "' cannot be used"), std::string::npos);
    }
    const auto good = session.classify("good", image);
    ASSERT_TRUE(good.ok()) << good.text();
    EXPECT_STREQ(good.value->items[0].label, "Egyptian cat");
  }
}

TEST(CatalogueOfTheAgent, AModelThatIsMendedIsLoadedByTheNextCall) {
  VACCEL_NEEDS_MOBILENET();
  const TemporaryFolder folder;
  copy_model(folder.path(), "mended", "", "");
  const std::string whole = read_file(folder.path() / "mended" / "model.onnx");
  write_file(folder.path() / "mended" / "model.onnx", whole.substr(0, whole.size() / 2));
  const AgentProcess agent({.catalogue = folder.path(), .all_backends = true});
  const Session session(agent.endpoint());
  EXPECT_NE(vaccel_model_load(session.get(), "mended"), VACCEL_OK);
  write_file(folder.path() / "mended" / "model.onnx", whole);
  EXPECT_EQ(vaccel_model_load(session.get(), "mended"), VACCEL_OK) << vaccel_error_message();
}

TEST(CatalogueOfTheAgent, AnEmptyOneIsNoFaultAndAMissingOneIs) {
  const TemporaryFolder folder;
  {
    const AgentProcess agent({.catalogue = folder.path()});
    expect_serves(agent.endpoint());
    const Session session(agent.endpoint());
    const auto refused = session.classify("mobilenet", some_bytes(10, 1));
    EXPECT_EQ(refused.status, VACCEL_NOT_FOUND) << refused.text();
  }
  const Ended ended = AgentProcess::run_to_end({.catalogue = folder.path() / "nowhere"});
  EXPECT_EQ(ended.status, 2);
  EXPECT_NE(ended.log.find("cannot read the catalogue folder"), std::string::npos) << ended.log;
}

TEST(CatalogueOfTheAgent, ALongListComesInParts) {
  const TemporaryFolder folder;
  for (int index = 0; index < 130; ++index) {
    const std::string name = "model-" + std::to_string(1000 + index);
    write_file(folder.path() / name / "model.toml",
               "name = \"" + name + "\"\ntask = \"infer\"\ndescription = \"" + std::string(600, 'd') +
                   "\"\n[model]\nfile = \"m\"\nformat = \"onnx\"\nsha256 = \"" + std::string(64, '0') +
                   "\"\n");
  }
  const AgentProcess agent({.catalogue = folder.path()});
  const Session session(agent.endpoint());
  const auto list =
      given<ModelListPtr>([&](vaccel_model_list** models) { return vaccel_models(session.get(), models); });
  ASSERT_TRUE(list.ok()) << list.text();
  ASSERT_EQ(list.value->count, 130u);
  for (size_t index = 0; index < list.value->count; ++index)
    EXPECT_EQ(list.value->models[index]->name, "model-" + std::to_string(1000 + index));
  RawClient client(agent.endpoint());
  const Answer beyond = client.ask(2, wire::Describe{wire::Subject::kModels, "", 0xffffffff});
  EXPECT_EQ(beyond.kind, wire::Kind::kDescription) << beyond.text();
  EXPECT_TRUE(beyond.description.models.empty());
  EXPECT_FALSE(beyond.description.more);
}

TEST(CatalogueOfTheAgent, IsReadAgain) {
  VACCEL_NEEDS_MOBILENET();
  const TemporaryFolder folder;
  const fs::path catalogue = folder.path() / "catalogue";
  copy_model(catalogue, "old", "", "");
  copy_model(catalogue, "wrong",
             line_with(read_file(real_catalogue() / "mobilenet" / "model.toml"), "sha256 = "),
             "sha256 = \"" + std::string(64, 'a') + "\"");
  const AgentProcess agent({.catalogue = catalogue, .all_backends = true});
  RawClient client(agent.endpoint());
  uint64_t id = 1;
  const auto open = [&](const char* name) { return client.ask(++id, wire::OpenModel{name}); };
  EXPECT_EQ(open("old").kind, wire::Kind::kModelOpened);
  EXPECT_EQ(open("wrong").code, VACCEL_UNAVAILABLE);
  EXPECT_EQ(open("new").code, VACCEL_NOT_FOUND);
  const pid_t worker = agent.worker();

  copy_model(catalogue, "new", "", "");
  fs::remove_all(catalogue / "wrong");
  copy_model(catalogue, "wrong", "", "");
  fs::remove_all(catalogue / "old");
  EXPECT_EQ(agent.vaccelctl({"reload"}).status, 0);
  EXPECT_TRUE(eventually([&] { return open("new").kind == wire::Kind::kModelOpened; }));
  EXPECT_EQ(open("wrong").kind, wire::Kind::kModelOpened) << "it was mended";
  EXPECT_EQ(open("old").code, VACCEL_NOT_FOUND);
  EXPECT_EQ(agent.worker(), worker) << "the worker has gone on";

  fs::rename(catalogue, folder.path() / "away");
  EXPECT_NE(agent.vaccelctl({"reload"}).status, 0);
  fs::rename(folder.path() / "away", catalogue);
  EXPECT_EQ(open("new").kind, wire::Kind::kModelOpened) << "and nothing has changed";
}

}  // namespace
}  // namespace vaccel::integration

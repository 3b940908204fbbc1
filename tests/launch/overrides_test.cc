#include "overrides.h"

#include <gtest/gtest.h>

#include "support/expect.h"
#include "support/test_tree.h"

namespace haft {
namespace {

using format::EntryKind;
using testing::Expect;
using testing::Message;

format::Manifest ManifestWithScripts() {
  format::Manifest manifest = testing::TestManifest();
  manifest.scripts = {
      {.kind = EntryKind::kFunction, .module = "al", .function = "main", .script = "alembic"},
      {.kind = EntryKind::kFunction, .module = "app.main", .function = "main", .script = "app"},
      {.kind = EntryKind::kScript,
       .module = "",
       .function = "",
       .script = "run.sh",
       .file = "bin/run.sh"}};
  return manifest;
}

std::string Chosen(std::vector<std::string> variables, std::string_view invoked_as = "./app",
                   const format::Manifest& manifest = ManifestWithScripts()) {
  Environment environment(std::move(variables));
  auto choice = ChooseEntry(manifest, Overrides::Take(environment), invoked_as);
  if (!choice) return choice.error().message();
  return format::Describe(choice->entry) + (choice->built_in ? "" : ", chosen") +
         (choice->module_or_function ? "?" : "");
}

TEST(OverridesTest, AreTakenOutOfTheEnvironment) {
  Environment environment({"HAFT_SCRIPT=a", "X=1", "HAFT_ENTRY_POINT=b:c", "HAFT_INTERPRETER=yes",
                           "HAFT_PYTHON=/p", "HAFT_MODE=userns", "HAFT_SCRIPTS=x"});
  Overrides overrides = Overrides::Take(environment);
  EXPECT_EQ(overrides.script, "a");
  EXPECT_EQ(overrides.entry_point, "b:c");
  EXPECT_TRUE(overrides.interpreter);
  EXPECT_EQ(overrides.python, "/p");
  EXPECT_EQ(environment.entries(),
            (std::vector<std::string>{"X=1", "HAFT_MODE=userns", "HAFT_SCRIPTS=x"}));
}

TEST(OverridesTest, ZeroAndNothingMeanOffAndGoAsWell) {
  for (std::string value : {"", "0"}) {
    Environment environment({"HAFT_SCRIPT=" + value, "HAFT_ENTRY_POINT=" + value,
                             "HAFT_INTERPRETER=" + value, "HAFT_PYTHON=" + value});
    Overrides overrides = Overrides::Take(environment);
    EXPECT_EQ(overrides.script + overrides.entry_point + overrides.python, "");
    EXPECT_FALSE(overrides.interpreter);
    EXPECT_TRUE(environment.entries().empty());
  }
}

TEST(ChooseEntryTest, TakesTheManifestsUnlessToldOtherwise) {
  EXPECT_EQ(Chosen({}), "app (app.main:main)");
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=0", "HAFT_INTERPRETER="}), "app (app.main:main)");
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=alembic"}), "alembic (al:main), chosen");
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=run.sh"}), "run.sh (bin/run.sh), chosen");
  EXPECT_EQ(Chosen({"HAFT_ENTRY_POINT=a.b:C.d"}), "a.b:C.d, chosen");
  EXPECT_EQ(Chosen({"HAFT_ENTRY_POINT=a.b.c"}), "-m a.b.c, chosen?");
  EXPECT_EQ(Chosen({"HAFT_ENTRY_POINT=json"}), "-m json, chosen");
  EXPECT_EQ(Chosen({"HAFT_INTERPRETER=1"}), "the interpreter, chosen");
  EXPECT_EQ(Chosen({"HAFT_INTERPRETER=1", "HAFT_ENTRY_POINT=a:b", "HAFT_SCRIPT=app"}),
            "the interpreter, chosen");
  EXPECT_EQ(Chosen({"HAFT_ENTRY_POINT=a:b", "HAFT_SCRIPT=app"}), "a:b, chosen");
}

TEST(ChooseEntryTest, AnUnknownScriptNamesThoseThereAre) {
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=almbic"}),
            "HAFT_SCRIPT 'almbic': not one of its scripts, which are 'alembic', 'app', 'run.sh'; "
            "did you mean 'alembic'?");
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=zzz"}),
            "HAFT_SCRIPT 'zzz': not one of its scripts, which are 'alembic', 'app', 'run.sh'");
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=a"}, "x", testing::TestManifest()),
            "HAFT_SCRIPT 'a': there are no scripts in it; use HAFT_ENTRY_POINT");
}

TEST(ChooseEntryTest, RefusesWhatIsNoEntryPoint) {
  EXPECT_EQ(
      Chosen({"HAFT_ENTRY_POINT=a:b()"}),
      "HAFT_ENTRY_POINT: 'a:b()' is not MODULE:FUNCTION; write it as in 'package.module:main'");
  EXPECT_EQ(Chosen({"HAFT_ENTRY_POINT=a b"}),
            "HAFT_ENTRY_POINT: 'a b' is not the name of a module; write it as in 'http.server'");
}

TEST(ChooseEntryTest, OnlyAMultiCallBundleLooksAtItsName) {
  EXPECT_EQ(Chosen({}, "/usr/bin/alembic"), "app (app.main:main)");
  format::Manifest manifest = ManifestWithScripts();
  manifest.multi_call = true;
  EXPECT_EQ(Chosen({}, "/usr/bin/alembic", manifest), "alembic (al:main), chosen");
  EXPECT_EQ(Chosen({}, "run.sh", manifest), "run.sh (bin/run.sh), chosen");
  EXPECT_EQ(Chosen({}, "app", manifest), "app (app.main:main)");
  EXPECT_EQ(Chosen({}, "alembic/", manifest), "app (app.main:main)");
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=app"}, "alembic", manifest), "app (app.main:main), chosen");
}

TEST(ChooseEntryTest, WithoutAnyEntryThereIsNothingToRun) {
  format::Manifest manifest = ManifestWithScripts();
  manifest.entry = {};
  EXPECT_EQ(Chosen({}, "x", manifest),
            "the image has no entry to run; name one with HAFT_SCRIPT or HAFT_ENTRY_POINT");
  EXPECT_EQ(Chosen({"HAFT_SCRIPT=app"}, "x", manifest), "app (app.main:main), chosen");
}

}  // namespace
}  // namespace haft

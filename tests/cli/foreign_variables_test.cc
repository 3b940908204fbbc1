#include "foreign_variables.h"

#include <gtest/gtest.h>

namespace haft::cli {
namespace {

using Entries = std::vector<std::string>;

Entries Translated(ArchiveKind kind, Entries entries, bool* isolated = nullptr) {
  Environment environment(std::move(entries));
  format::Manifest manifest;
  if (isolated != nullptr) manifest.isolated = *isolated;
  TranslateVariables(kind, environment, manifest);
  if (isolated != nullptr) *isolated = manifest.isolated;
  return environment.entries();
}

TEST(ForeignVariables, BecomeOurs) {
  EXPECT_EQ(Translated(ArchiveKind::kShiv, {"SHIV_ENTRY_POINT=a:b", "A=1"}),
            (Entries{"A=1", "HAFT_ENTRY_POINT=a:b"}));
  EXPECT_EQ(Translated(ArchiveKind::kShiv, {"SHIV_MODULE=a"}), Entries{"HAFT_ENTRY_POINT=a"});
  EXPECT_EQ(Translated(ArchiveKind::kShiv, {"SHIV_CONSOLE_SCRIPT=t", "SHIV_INTERPRETER=yes"}),
            (Entries{"HAFT_SCRIPT=t", "HAFT_INTERPRETER=yes"}));
  EXPECT_EQ(
      Translated(ArchiveKind::kPex,
                 {"PEX_MODULE=a", "PEX_SCRIPT=t", "PEX_PYTHON=p", "PEX_INTERPRETER=1"}),
      (Entries{"HAFT_ENTRY_POINT=a", "HAFT_SCRIPT=t", "HAFT_PYTHON=p", "HAFT_INTERPRETER=1"}));
}

TEST(ForeignVariables, OursWin) {
  EXPECT_EQ(Translated(ArchiveKind::kPex, {"HAFT_SCRIPT=ours", "PEX_SCRIPT=t"}),
            Entries{"HAFT_SCRIPT=ours"});
}

TEST(ForeignVariables, OffIsOff) {
  EXPECT_EQ(Translated(ArchiveKind::kShiv, {"SHIV_INTERPRETER=0", "SHIV_MODULE="}), Entries{});
  EXPECT_EQ(Translated(ArchiveKind::kPex, {"PEX_INTERPRETER=false"}), Entries{});
}

TEST(ForeignVariables, OfOtherToolsStay) {
  const Entries entries = {"SHIV_INTERPRETER=1", "PEX_INTERPRETER=1"};
  EXPECT_EQ(Translated(ArchiveKind::kZipapp, entries), entries);
  EXPECT_EQ(Translated(ArchiveKind::kShiv, {"PEX_INTERPRETER=1"}), Entries{"PEX_INTERPRETER=1"});
}

TEST(ForeignVariables, PexPaths) {
  bool isolated = true;
  EXPECT_EQ(Translated(ArchiveKind::kPex, {"PEX_INHERIT_PATH=fallback", "PEX_EXTRA_SYS_PATH=/x:/y"},
                       &isolated),
            Entries{"PYTHONPATH=/x:/y"});
  EXPECT_FALSE(isolated);
  EXPECT_EQ(Translated(ArchiveKind::kPex, {"PYTHONPATH=/u", "PEX_EXTRA_SYS_PATH=/x"}),
            Entries{"PYTHONPATH=/x:/u"});
}

}  // namespace
}  // namespace haft::cli

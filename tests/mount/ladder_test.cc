#include "haft/mount/ladder.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Message;

struct ModesCase {
  std::string_view text;
  std::string_view allowed;  // first letters of the rungs
};

class ModesTest : public ::testing::TestWithParam<ModesCase> {};

TEST_P(ModesTest, AllowsWhatIsNamedOrNotForbidden) {
  auto modes = Modes::Parse(GetParam().text);
  ASSERT_EQ(Message(modes), "");
  std::string allowed;
  for (Rung rung : {Rung::kNamespace, Rung::kUserns, Rung::kFusermount, Rung::kExtract}) {
    if (modes->Allows(rung)) allowed += RungName(rung)[0];
  }
  EXPECT_EQ(allowed, GetParam().allowed);
}

INSTANTIATE_TEST_SUITE_P(
    All, ModesTest,
    ::testing::Values(ModesCase{"", "nufe"}, ModesCase{"namespace", "n"}, ModesCase{"userns", "u"},
                      ModesCase{"fusermount", "f"}, ModesCase{"extract", "e"},
                      ModesCase{"!namespace", "ufe"}, ModesCase{"!extract", "nuf"},
                      ModesCase{"namespace,userns", "nu"}, ModesCase{"userns,namespace", "nu"},
                      ModesCase{"!userns,!namespace", "fe"}, ModesCase{"userns,!namespace", "u"},
                      ModesCase{"namespace,userns,!userns", "n"},
                      ModesCase{"!namespace,!userns,!fusermount,!extract", ""}));

TEST(ModesTest, TellsWhatWasNamedFromWhatIsLeftOver) {
  auto named = [](std::string_view text) {
    return Modes::Parse(text).value().Names(Rung::kExtract);
  };
  EXPECT_TRUE(named("extract"));
  EXPECT_TRUE(named("userns,extract"));
  EXPECT_FALSE(named(""));
  EXPECT_FALSE(named("!userns"));
  EXPECT_FALSE(named("extract,!extract"));
}

TEST(ModesTest, NamesWhatItDoesNotKnow) {
  auto modes = Modes::Parse("userns,fuse\n");
  EXPECT_EQ(
      Message(modes),
      R"(HAFT_MODE: unknown mode 'fuse\x0a'; known are namespace, userns, fusermount, extract)");
  EXPECT_EQ(modes.error().kind(), ErrorKind::kInvalidInput);
  for (std::string_view text :
       {"!", ",", "userns,,namespace", "!!userns", "USERNS", " userns", "userns "}) {
    EXPECT_FALSE(Modes::Parse(text).has_value()) << text;
  }
}

TEST(RungTest, HasTheNameUsersWrite) {
  EXPECT_EQ(RungName(Rung::kNamespace), "namespace");
  EXPECT_EQ(RungName(Rung::kUserns), "userns");
  EXPECT_EQ(RungName(Rung::kFusermount), "fusermount");
  EXPECT_EQ(RungName(Rung::kExtract), "extract");
}

}  // namespace
}  // namespace haft

#include "haft/mount/mode.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Message;

struct ModesCase {
  std::string_view text;
  std::string_view allowed;  // first letters of the modes
};

class ModesTest : public ::testing::TestWithParam<ModesCase> {};

TEST_P(ModesTest, AllowsWhatIsNamedOrNotForbidden) {
  auto modes = AllowedModes::Parse(GetParam().text);
  ASSERT_EQ(Message(modes), "");
  std::string allowed;
  for (std::size_t i = 0; i < kModeCount; ++i) {
    auto mode = static_cast<Mode>(i);
    if (modes->Allows(mode)) allowed += ModeName(mode)[0];
  }
  EXPECT_EQ(allowed, GetParam().allowed);
}

INSTANTIATE_TEST_SUITE_P(
    All, ModesTest,
    ::testing::Values(ModesCase{"", "nfue"}, ModesCase{"namespace", "n"}, ModesCase{"userns", "u"},
                      ModesCase{"fusermount", "f"}, ModesCase{"extract", "e"},
                      ModesCase{"!namespace", "fue"}, ModesCase{"!extract", "nfu"},
                      ModesCase{"namespace,userns", "nu"}, ModesCase{"userns,namespace", "nu"},
                      ModesCase{"!userns,!namespace", "fe"}, ModesCase{"userns,!namespace", "u"},
                      ModesCase{"namespace,userns,!userns", "n"},
                      ModesCase{"!namespace,!userns,!fusermount,!extract", ""}));

TEST(ModesTest, TellsWhatWasNamedFromWhatIsLeftOver) {
  auto named = [](std::string_view text) {
    return AllowedModes::Parse(text).value().Names(Mode::kExtract);
  };
  EXPECT_TRUE(named("extract"));
  EXPECT_TRUE(named("userns,extract"));
  EXPECT_FALSE(named(""));
  EXPECT_FALSE(named("!userns"));
  EXPECT_FALSE(named("extract,!extract"));
}

TEST(ModesTest, NamesWhatItDoesNotKnow) {
  auto modes = AllowedModes::Parse("userns,fuse\n");
  EXPECT_EQ(
      Message(modes),
      R"(HAFT_MODE: unknown mode 'fuse\x0a'; known are namespace, fusermount, userns, extract)");
  EXPECT_EQ(modes.error().kind(), ErrorKind::kInvalidInput);
  for (std::string_view text :
       {"!", ",", "userns,,namespace", "!!userns", "USERNS", " userns", "userns "}) {
    EXPECT_FALSE(AllowedModes::Parse(text).has_value()) << text;
  }
}

TEST(ModesTest, HasTheNameUsersWrite) {
  EXPECT_EQ(ModeName(Mode::kNamespace), "namespace");
  EXPECT_EQ(ModeName(Mode::kUserns), "userns");
  EXPECT_EQ(ModeName(Mode::kFusermount), "fusermount");
  EXPECT_EQ(ModeName(Mode::kExtract), "extract");
}

}  // namespace
}  // namespace haft

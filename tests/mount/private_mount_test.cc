#include "haft/mount/private_mount.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Message;

struct ModesCase {
  std::string_view text;
  bool allows_namespace, allows_userns;
};

class ModesTest : public ::testing::TestWithParam<ModesCase> {};

TEST_P(ModesTest, AllowsWhatIsNamedOrNotForbidden) {
  auto modes = Modes::Parse(GetParam().text);
  ASSERT_EQ(Message(modes), "");
  EXPECT_EQ(modes->Allows(Rung::kNamespace), GetParam().allows_namespace);
  EXPECT_EQ(modes->Allows(Rung::kUserns), GetParam().allows_userns);
}

INSTANTIATE_TEST_SUITE_P(All, ModesTest,
                         ::testing::Values(ModesCase{"", true, true}, ModesCase{"namespace", true, false},
                                           ModesCase{"userns", false, true}, ModesCase{"!namespace", false, true},
                                           ModesCase{"!userns", true, false}, ModesCase{"namespace,userns", true, true},
                                           ModesCase{"userns,namespace", true, true},
                                           ModesCase{"!userns,!namespace", false, false},
                                           ModesCase{"userns,!namespace", false, true},
                                           ModesCase{"namespace,userns,!userns", true, false}));

TEST(ModesTest, NamesWhatItDoesNotKnow) {
  auto modes = Modes::Parse("userns,fusermount\n");
  EXPECT_EQ(Message(modes), R"(HAFT_MODE: unknown mode 'fusermount\x0a'; known are namespace, userns)");
  EXPECT_EQ(modes.error().kind(), ErrorKind::kInvalidInput);
  for (std::string_view text : {"!", ",", "userns,,namespace", "!!userns", "USERNS", " userns", "userns "}) {
    EXPECT_FALSE(Modes::Parse(text).has_value()) << text;
  }
}

TEST(RungTest, HasTheNameUsersWrite) {
  EXPECT_EQ(RungName(Rung::kNamespace), "namespace");
  EXPECT_EQ(RungName(Rung::kUserns), "userns");
}

}  // namespace
}  // namespace haft

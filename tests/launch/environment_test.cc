#include "haft/launch/environment.h"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace haft {
namespace {

std::vector<std::string> Entries(Environment& environment) {
  std::vector<std::string> entries;
  for (char* entry : environment.Pointers()) {
    if (entry != nullptr) entries.emplace_back(entry);
  }
  return entries;
}

using Strings = std::vector<std::string>;

TEST(EnvironmentTest, FindsWholeNamesOnly) {
  Environment environment({"PATHS=1", "PATH=/bin", "EMPTY=", "NOVALUE", "A=b=c"});
  EXPECT_EQ(environment.Get("PATH"), "/bin");
  EXPECT_EQ(environment.Get("EMPTY"), "");
  EXPECT_EQ(environment.Get("A"), "b=c");
  EXPECT_EQ(environment.Get("PAT"), std::nullopt);
  EXPECT_EQ(environment.Get("NOVALUE"), std::nullopt);
  EXPECT_EQ(environment.Get("A=b"), "c") << "a name with '=' cannot be told from one without";
}

TEST(EnvironmentTest, PassesOnWhatItDoesNotKnow) {
  Strings odd = {"=C:=x", "NOVALUE", "", "X=1", "X=2", "BYTES=\xff\n"};
  Environment environment(odd);
  EXPECT_EQ(Entries(environment), odd);
}

TEST(EnvironmentTest, SetsInPlaceOrAtTheEnd) {
  Environment environment({"A=1", "B=2"});
  environment.Set("A", "one");
  environment.Set("C", "");
  EXPECT_EQ(Entries(environment), (Strings{"A=one", "B=2", "C="}));
  EXPECT_EQ(environment.Get("A"), "one");
}

TEST(EnvironmentTest, OfDuplicatesTheFirstCounts) {
  Environment environment({"X=1", "Y=0", "X=2"});
  EXPECT_EQ(environment.Get("X"), "1");
  environment.Set("X", "3");
  EXPECT_EQ(environment.Get("X"), "3");
}

TEST(EnvironmentTest, UnsetRemovesEveryOne) {
  Environment environment({"X=1", "Y=0", "X=2", "XX=3"});
  environment.Unset("X");
  environment.Unset("NONE");
  EXPECT_EQ(Entries(environment), (Strings{"Y=0", "XX=3"}));
}

TEST(EnvironmentTest, PointersEndWithNull) {
  Environment environment(Strings{});
  ASSERT_EQ(environment.Pointers().size(), 1u);
  EXPECT_EQ(environment.Pointers()[0], nullptr);
}

TEST(EnvironmentTest, CopiesTheProcess) {
  ASSERT_EQ(::setenv("HAFT_ENVIRONMENT_TEST", "here", 1), 0);
  Environment environment = Environment::Current();
  environment.Set("HAFT_ENVIRONMENT_TEST", "changed");
  EXPECT_STREQ(::getenv("HAFT_ENVIRONMENT_TEST"), "here");
  EXPECT_EQ(environment.Get("HAFT_ENVIRONMENT_TEST"), "changed");
  EXPECT_EQ(::unsetenv("HAFT_ENVIRONMENT_TEST"), 0);
}

}  // namespace
}  // namespace haft

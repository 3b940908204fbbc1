#include "haft/base/shell_words.h"

#include <gtest/gtest.h>

#include "support/expect.h"

namespace haft {
namespace {

using testing::Expect;
using testing::Message;

TEST(ShellWordsTest, SplitsAsAShellDoes) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(Expect(ShellWords("")), Words{});
  EXPECT_EQ(Expect(ShellWords("  --help  x ")), (Words{"--help", "x"}));
  EXPECT_EQ(Expect(ShellWords(R"(a'b c'd "e \" f" \ g '' )")),
            (Words{"ab cd", "e \" f", " g", ""}));
  EXPECT_EQ(Message(ShellWords("a 'b")), "'a 'b': a quote is not closed");
  EXPECT_NE(Message(ShellWords("a\\")), "");
}

}  // namespace
}  // namespace haft

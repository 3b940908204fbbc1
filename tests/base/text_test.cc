#include "haft/base/text.h"

#include <gtest/gtest.h>

#include <array>

namespace haft {
namespace {

using Views = std::vector<std::string_view>;
using Pair = std::pair<std::string_view, std::string_view>;

TEST(SplitTest, HasOnePieceMoreThanSeparators) {
  EXPECT_EQ(Split("", ':'), (Views{""}));
  EXPECT_EQ(Split("a", ':'), (Views{"a"}));
  EXPECT_EQ(Split(":", ':'), (Views{"", ""}));
  EXPECT_EQ(Split("a::b:", ':'), (Views{"a", "", "b", ""}));
}

TEST(SplitOnceTest, IsAllAndNothingWithoutSeparator) {
  EXPECT_EQ(SplitOnce("", '='), (Pair{"", ""}));
  EXPECT_EQ(SplitOnce("a", '='), (Pair{"a", ""}));
  EXPECT_EQ(SplitOnce("a=b=c", '='), (Pair{"a", "b=c"}));
  EXPECT_EQ(SplitOnce("=b", '='), (Pair{"", "b"}));
}

TEST(TakeUntilTest, TakesTheSeparatorAsWell) {
  std::string_view text = "a b";
  EXPECT_EQ(TakeUntil(text, ' '), "a");
  EXPECT_EQ(TakeUntil(text, ' '), "b");
  EXPECT_EQ(text, "");
  EXPECT_EQ(TakeUntil(text, ' '), "");
}

TEST(LinesTest, LastOneNeedsNoEnd) {
  EXPECT_EQ(Lines(""), Views{});
  EXPECT_EQ(Lines("\n"), (Views{""}));
  EXPECT_EQ(Lines("a\n\nb"), (Views{"a", "", "b"}));
  EXPECT_EQ(Lines("a\r\nb\n"), (Views{"a\r", "b"}));
  EXPECT_EQ(Lines(std::string_view("A=1\0B=2\0", 8), '\0'), (Views{"A=1", "B=2"}));
}

TEST(LastLineTest, IgnoresEmptyLinesAtTheEnd) {
  EXPECT_EQ(LastLine(""), "");
  EXPECT_EQ(LastLine("\n\n"), "");
  EXPECT_EQ(LastLine("a"), "a");
  EXPECT_EQ(LastLine("a\nb\n\n"), "b");
}

TEST(WordsTest, NoneIsEmpty) {
  EXPECT_EQ(Words(""), Views{});
  EXPECT_EQ(Words(" \t\n"), Views{});
  EXPECT_EQ(Words("  a \t b\r\n"), (Views{"a", "b"}));
  EXPECT_EQ(Words("a b\r", " \t"), (Views{"a", "b\r"}));
}

TEST(TrimTest, TakesBlanksOnlyFromTheEnds) {
  EXPECT_EQ(Trim(""), "");
  EXPECT_EQ(Trim(" \t\r\n"), "");
  EXPECT_EQ(Trim(" a b\r\n"), "a b");
  EXPECT_EQ(Trim(" a\n", " "), "a\n");
}

TEST(ToNumberTest, TakesTheWholeTextOrNothing) {
  EXPECT_EQ(ToNumber<int>("-12"), -12);
  EXPECT_EQ(ToNumber<unsigned>("051", 8), 051u);
  EXPECT_EQ(ToNumber<double>("0.5"), 0.5);
  for (const char* text : {"", " 1", "1 ", "+1", "0x1", "1.5", "99999999999", "self"})
    EXPECT_EQ(ToNumber<int>(text), std::nullopt) << text;
  EXPECT_EQ(ToNumber<unsigned>("-1"), std::nullopt);
}

TEST(ListedTest, ShowsTwentyAndCountsTheRest) {
  EXPECT_EQ(Listed({}), "");
  std::array<std::string_view, 22> names;
  names.fill("x");
  names[0] = "a\nb";
  EXPECT_EQ(Listed(std::span(names).first(2)), "'a\\x0ab', 'x'");
  EXPECT_TRUE(Listed(std::span(names).first(20)).ends_with("'x', 'x'"));
  EXPECT_TRUE(Listed(names).ends_with("'x', 'x' and 2 more"));
}

}  // namespace
}  // namespace haft

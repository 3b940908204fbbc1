#include "haft/base/utf8.h"

#include <gtest/gtest.h>

namespace haft {
namespace {

TEST(IsUtf8Test, KnowsWhatUnicodeForbids) {
  for (std::string_view text : {"", "a", "\x7F", "ä", "€", "😀", "\xED\x9F\xBF", "\xEE\x80\x80",
                                "\xF4\x8F\xBF\xBF", "a\xC2\x80z"}) {
    EXPECT_TRUE(IsUtf8(text)) << text;
  }
  for (std::string_view text : {
           "\x80",              // no lead byte
           "\xC0\xAF",          // overlong
           "\xC1\xBF",          // overlong
           "\xE0\x9F\xBF",      // overlong
           "\xF0\x8F\xBF\xBF",  // overlong
           "\xED\xA0\x80",      // a surrogate
           "\xF4\x90\x80\x80",  // beyond U+10FFFF
           "\xF5\x80\x80\x80",  // beyond U+10FFFF
           "\xC3",              // ends early
           "a\xE2\x82",         // ends early
           "\xC3 ",             // no continuation
       }) {
    EXPECT_FALSE(IsUtf8(text)) << testing::PrintToString(text);
  }
}

TEST(ShownTest, EscapesWhatSteersATerminalOrTurnsATextAround) {
  EXPECT_EQ(Shown("a\x1b[2J\n\x7f"), "a\\x1b[2J\\x0a\\x7f");
  EXPECT_EQ(Shown("\u009b31m"), "\\xc2\\x9b31m") << "C1";
  EXPECT_EQ(Shown("\u202egpj.exe"), "\\xe2\\x80\\xaegpj.exe") << "right to left";
  EXPECT_EQ(Shown("\u2066\u061c\u2028"), "\\xe2\\x81\\xa6\\xd8\\x9c\\xe2\\x80\\xa8");
  EXPECT_EQ(Shown("\xff"), "\\xff");
}

TEST(ShownTest, LeavesTextsAloneAndIsTheSameTwice) {
  EXPECT_EQ(Shown("Grüße, 漢字 – … 🙂 'a\\b'"), "Grüße, 漢字 – … 🙂 'a\\b'");
  EXPECT_EQ(Shown(Shown("\x1b\xff")), Shown("\x1b\xff"));
}

}  // namespace
}  // namespace haft

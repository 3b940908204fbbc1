#include "haft/base/error.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "haft/base/utf8.h"

namespace haft {
namespace {

TEST(ErrorTest, MessageHoldsContextAndRemedy) {
  Error error =
      Error::Corrupt("checksum is wrong").Within("block 3").Within("'app'").Remedy("copy it again");
  EXPECT_EQ(error.message(), "'app': block 3: checksum is wrong; copy it again");
  EXPECT_EQ(error.remedy(), "copy it again");
  EXPECT_EQ(error.kind(), ErrorKind::kCorrupt);
}

TEST(ErrorTest, RemedyIsReplacedNotAppended) {
  EXPECT_EQ(Error::Invalid("a").Remedy("b").Remedy("c").message(), "a; c");
}

TEST(ErrorTest, FromErrnoTellsMissingFilesFromOtherFailures) {
  Error missing = Error::FromErrno("open 'x'", ENOENT);
  EXPECT_EQ(missing.message(), "open 'x': No such file or directory");
  EXPECT_EQ(missing.kind(), ErrorKind::kNotFound);
  EXPECT_EQ(missing.sys_errno(), ENOENT);
  EXPECT_EQ(Error::FromErrno("open", EACCES).kind(), ErrorKind::kSystem);
  EXPECT_EQ(Error::FromErrno("x", 99999).message(), "x: Unknown error 99999");
}

TEST(ErrorTest, CutsWhatAnInputMakesLong) {
  const std::string path(100'000, 'a');
  EXPECT_EQ(Quoted(path), "'" + path.substr(0, 384) + "..." + path.substr(0, 128) + "'");
  EXPECT_EQ(Quoted(path.substr(0, 512)), "'" + path.substr(0, 512) + "'");
  EXPECT_EQ(Shown(path), path);
  const Error error = Error::Invalid(path + " end").Remedy(path);
  EXPECT_LE(error.message().size(), 4100u);
  EXPECT_NE(error.message().find("a end; a"), std::string::npos);
}

TEST(ErrorTest, CutsBetweenCharacters) {
  std::string path;
  while (path.size() < 1000) path += "\u20ac";
  const std::string quoted = Quoted(path + "x");
  EXPECT_EQ(quoted.find("\\x"), std::string::npos) << quoted;
}

TEST(ErrorTest, FromErrnoTakesTheCurrentErrno) {
  errno = ENOSPC;
  EXPECT_EQ(Error::FromErrno("write").sys_errno(), ENOSPC);
}

TEST(ErrorTest, ToErrnoPrefersTheSystemsOwn) {
  EXPECT_EQ(Error(ErrorKind::kInvalidInput, "not a directory", ENOTDIR).ToErrno(), ENOTDIR);
  EXPECT_EQ(Error(ErrorKind::kNotFound, "").ToErrno(), ENOENT);
  EXPECT_EQ(Error(ErrorKind::kUsage, "").ToErrno(), EINVAL);
  EXPECT_EQ(Error(ErrorKind::kInvalidInput, "").ToErrno(), EINVAL);
  EXPECT_EQ(Error(ErrorKind::kUnsupported, "").ToErrno(), EOPNOTSUPP);
  EXPECT_EQ(Error(ErrorKind::kSystem, "").ToErrno(), EIO);
  EXPECT_EQ(Error(ErrorKind::kCorrupt, "").ToErrno(), EIO);
}

Result<int> Half(int number) {
  if (number % 2 != 0) return Failure(Error::Invalid("odd"));
  return number / 2;
}
Result<int> Quarter(int number) {
  return TRY(Half(TRY(Half(number))));
}
Result<> CheckHalf(int number) {
  TRY(Half(number));
  return {};
}

TEST(TryTest, GivesTheValueOrReturnsTheError) {
  EXPECT_EQ(Quarter(8).value(), 2);
  EXPECT_EQ(Quarter(6).error().message(), "odd");
  EXPECT_EQ(Quarter(7).error().message(), "odd");
  EXPECT_TRUE(CheckHalf(2).has_value());
  EXPECT_EQ(CheckHalf(1).error().kind(), ErrorKind::kInvalidInput);
}

Result<int> HalfOf(int number, int& contexts) {
  auto context = [&] {
    ++contexts;
    return std::to_string(number);
  };
  return TRY_WITHIN(context(), Half(number));
}

TEST(TryWithinTest, GivesTheValueOrReturnsTheErrorWithItsContext) {
  int contexts = 0;
  EXPECT_EQ(HalfOf(8, contexts).value(), 4);
  EXPECT_EQ(contexts, 0);  // made only for an error
  EXPECT_EQ(HalfOf(7, contexts).error().message(), "7: odd");
  EXPECT_EQ(contexts, 1);
}

Result<std::unique_ptr<int>> MakePointer() {
  return std::make_unique<int>(7);
}
Result<int> MoveOnly() {
  std::unique_ptr<int> pointer = TRY(MakePointer());
  return *pointer;
}

TEST(TryTest, MovesTheValueOut) {
  EXPECT_EQ(MoveOnly().value(), 7);
}

struct QuotedCase {
  std::string name, quoted;
};

class QuotedTest : public ::testing::TestWithParam<QuotedCase> {};

TEST_P(QuotedTest, ShowsTextAndEscapesTheRest) {
  EXPECT_EQ(Quoted(GetParam().name), GetParam().quoted);
}

using namespace std::string_literals;

INSTANTIATE_TEST_SUITE_P(
    All, QuotedTest,
    ::testing::Values(
        QuotedCase{"", "''"}, QuotedCase{"plain name.txt", "'plain name.txt'"},
        QuotedCase{"äöü €", "'äöü €'"}, QuotedCase{"\U0001F40D", "'\U0001F40D'"},
        // C0, DEL and C1 controls.
        QuotedCase{"a\nb\tc\x1b[31m", R"('a\x0ab\x09c\x1b[31m')"}, QuotedCase{"\0x"s, R"('\x00x')"},
        QuotedCase{"\x7f", R"('\x7f')"}, QuotedCase{"\xc2\x80\xc2\x9f", R"('\xc2\x80\xc2\x9f')"},
        QuotedCase{"\xc2\xa0", "'\xc2\xa0'"},
        // Not UTF-8: a lone lead or continuation, cut off, overlong, surrogates, beyond U+10FFFF.
        QuotedCase{"\xe4", R"('\xe4')"}, QuotedCase{"a\x80z", R"('a\x80z')"},
        QuotedCase{"\xe2\x82", R"('\xe2\x82')"}, QuotedCase{"\xe2\x82z", R"('\xe2\x82z')"},
        QuotedCase{"\xf0\x9f\x90", R"('\xf0\x9f\x90')"}, QuotedCase{"\xc0\xaf", R"('\xc0\xaf')"},
        QuotedCase{"\xc1\xbf", R"('\xc1\xbf')"}, QuotedCase{"\xe0\x80\xaf", R"('\xe0\x80\xaf')"},
        QuotedCase{"\xf0\x80\x80\xaf", R"('\xf0\x80\x80\xaf')"},
        QuotedCase{"\xed\xa0\x80", R"('\xed\xa0\x80')"},
        QuotedCase{"\xed\xbf\xbf", R"('\xed\xbf\xbf')"},
        QuotedCase{"\xed\x9f\xbf", "'\xed\x9f\xbf'"},
        QuotedCase{"\xf4\x8f\xbf\xbf", "'\xf4\x8f\xbf\xbf'"},
        QuotedCase{"\xf4\x90\x80\x80", R"('\xf4\x90\x80\x80')"},
        QuotedCase{"\xf5\x80\x80\x80", R"('\xf5\x80\x80\x80')"},
        QuotedCase{"\xff\xfe", R"('\xff\xfe')"}));

TEST(QuotedTest, EveryPairOfBytesStaysOnOneLineOfText) {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      std::string quoted = Quoted(std::string{static_cast<char>(first), static_cast<char>(second)});
      for (char c : quoted) {
        ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) << first << " " << second;
      }
    }
  }
}

}  // namespace
}  // namespace haft

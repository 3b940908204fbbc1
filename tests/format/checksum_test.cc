#include "haft/format/checksum.h"

#include <gtest/gtest.h>

#include "haft/base/file_io.h"

namespace haft::format {
namespace {

// Published values of xxHash: images must stay readable whatever xxHash is used to build haft.
TEST(ChecksumTest, IsXxh3WithSeedZero) {
  EXPECT_EQ(Checksum({}), 0x2d06800538d394c2u);
  EXPECT_EQ(Checksum(AsBytes("a")), 0xe6c632b61e964e1fu);
  EXPECT_EQ(Checksum(AsBytes("abc")), 0x78af5f94892f3950u);
}

TEST(ChecksumTest, HasherTakesItsInputInPieces) {
  Hasher64 pieces64;
  EXPECT_EQ(pieces64.Finish(), Checksum({}));
  for (std::string_view piece : {"handle", "", " of a ", "knife"}) pieces64.Update(AsBytes(piece));
  EXPECT_EQ(pieces64.Finish(), Checksum(AsBytes("handle of a knife")));
  Hasher128 empty, whole, pieces;
  EXPECT_EQ(ToHex(empty.Finish()), "99aa06d3014798d86001c324468d497f");
  whole.Update(AsBytes("handle of a knife"));
  for (std::string_view piece : {"handle", "", " of a ", "knife"}) pieces.Update(AsBytes(piece));
  EXPECT_EQ(ToHex(whole.Finish()), ToHex(pieces.Finish()));
  EXPECT_NE(ToHex(whole.Finish()), ToHex(empty.Finish()));
  EXPECT_EQ(ToHex(whole.Finish()), ToHex(whole.Finish())) << "asking changes nothing";
}

TEST(ChecksumTest, HexHasThirtyTwoLowerCaseDigits) {
  ImageId id = {0x00, 0x01, 0xAB, 0xFF};
  EXPECT_EQ(ToHex(id), "0001abff000000000000000000000000");
}

}  // namespace
}  // namespace haft::format

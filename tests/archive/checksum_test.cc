#include "checksum.h"

#include <gtest/gtest.h>

#include "haft/base/file_io.h"

namespace haft::zip {
namespace {

// Published values of xxHash.
TEST(ChecksumTest, IsXxh3WithSeedZero) {
  EXPECT_EQ(Checksum({}), 0x2d06800538d394c2u);
  EXPECT_EQ(Checksum(AsBytes("a")), 0xe6c632b61e964e1fu);
  EXPECT_EQ(Checksum(AsBytes("abc")), 0x78af5f94892f3950u);
}

}  // namespace
}  // namespace haft::zip

#include "haft/format/digest.h"

#include <gtest/gtest.h>

#include <string>

#include "haft/base/file_io.h"

namespace haft::format {
namespace {

// FIPS 180-4 and NIST's examples.
TEST(DigestTest, IsSha256) {
  EXPECT_EQ(ToHex(Sha256Of({})),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(ToHex(Sha256Of(AsBytes("abc"))),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(ToHex(Sha256Of(AsBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(ToHex(Sha256Of(AsBytes(std::string(1'000'000, 'a')))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(DigestTest, TakesItsInputInPieces) {
  const std::string text(1000, 'x');
  for (std::size_t first = 0; first <= text.size(); ++first) {
    Sha256 pieces;
    pieces.Update(AsBytes(text).first(first));
    pieces.Update({});
    pieces.Update(AsBytes(text).subspan(first));
    ASSERT_EQ(ToHex(pieces.Finish()), ToHex(Sha256Of(AsBytes(text)))) << first;
    ASSERT_EQ(ToHex(pieces.Finish()), ToHex(Sha256Of(AsBytes(text)))) << "asking changes nothing";
  }
}

TEST(DigestTest, HasDigestIsSaidOfNoOtherBytes) {
  EXPECT_TRUE(HasDigest(AsBytes("abc"), Sha256Of(AsBytes("abc"))));
  EXPECT_FALSE(HasDigest(AsBytes("abd"), Sha256Of(AsBytes("abc"))));
  EXPECT_FALSE(HasDigest({}, Digest{}));
}

TEST(DigestTest, RootMessageIsTwoLines) {
  EXPECT_EQ(RootMessage(Sha256Of({})),
            "haft-root-v1\n"
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n");
}

}  // namespace
}  // namespace haft::format

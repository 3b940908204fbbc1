#include "haft/trust/ssh_signature.h"

#include <gtest/gtest.h>

#include "support/expect.h"
#include "test_keys.h"
#include "wire.h"

namespace haft::trust {
namespace {

using testing::TestKey;

constexpr std::string_view kMessage = "haft-root-v1\nsha256:00\n";

TEST(SshSignatureTest, IsOfExactlyTheseBytes) {
  for (const TestKey& key : {TestKey(1), TestKey(2, "ssh:")}) {
    for (const std::string_view hash : {"sha256", "sha512"}) {
      const auto signature = ParseSignature(key.Sign(kMessage, "haft", hash));
      ASSERT_TRUE(signature) << signature.error().message();
      EXPECT_EQ(signature->purpose, "haft");
      EXPECT_TRUE(IsSignatureOf(*signature, kMessage));
      EXPECT_FALSE(IsSignatureOf(*signature, "haft-root-v1\nsha256:01\n"));
    }
  }
}

// The magic, version, key, namespace, hash and signature: whatever is changed, it is no longer one.
TEST(SshSignatureTest, AnyFlippedBitIsNoticed) {
  for (const TestKey& key : {TestKey(1), TestKey(2, "ssh:")}) {
    const std::string blob = key.Sign(kMessage);
    for (std::size_t bit = 0; bit < blob.size() * 8; ++bit) {
      std::string flipped = blob;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
      const auto signature = ParseSignature(flipped);
      EXPECT_FALSE(signature && IsSignatureOf(*signature, kMessage)) << bit;
    }
  }
}

TEST(SshSignatureTest, CutOffAnywhereOrWithMoreBehind) {
  const std::string blob = TestKey(1).Sign(kMessage);
  for (std::size_t size = 0; size < blob.size(); ++size)
    EXPECT_FALSE(ParseSignature(std::string_view(blob).substr(0, size))) << size;
  EXPECT_FALSE(ParseSignature(blob + "x"));
}

TEST(SshSignatureTest, NamesWhatItCannotCheck) {
  std::string key;
  AppendString(key, "ssh-rsa");
  const auto parsed = ParsePublicKey(key);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().message(),
            "key of type 'ssh-rsa', which haft cannot check; use one of type ed25519");
  const auto other_hash = ParseSignature(TestKey(1).Sign(kMessage, "haft", "md5"));
  ASSERT_FALSE(other_hash);
  EXPECT_EQ(other_hash.error().message(), "signature with hash 'md5', which haft does not know");
  EXPECT_FALSE(ParseSignature(TestKey(1).Sign(kMessage, "")));
}

// Made by ssh-keygen of OpenSSH 9.2: key, fingerprint and signature.
TEST(SshSignatureTest, OfOpenSsh) {
  const auto blob = RemoveArmour(
      "-----BEGIN SSH SIGNATURE-----\n"
      "U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgS9TlCMlQFkDWq9iv2VBeVaW5p7\n"
      "mHTOBFuuwsRx7Wx1oAAAAEaGFmdAAAAAAAAAAGc2hhNTEyAAAAUwAAAAtzc2gtZWQyNTUx\n"
      "OQAAAEAVQxhJrKyfgkGVnENtZIa+/OjlMhyIOjnTBoEruJv7tdnf5esiVn9wTrd5XpESb3\n"
      "ZRLZrK6XOnG6RgU8Im4ccD\n"
      "-----END SSH SIGNATURE-----\n");
  ASSERT_TRUE(blob);
  const auto signature = ParseSignature(*blob);
  ASSERT_TRUE(signature);
  EXPECT_EQ(Fingerprint(signature->key), "SHA256:UmMU7wkxuQhFrIrqFRu/rD9OJDSpcN5Gj2zcdg3ae4c");
  EXPECT_TRUE(IsSignatureOf(*signature, kMessage));
}

TEST(SshSignatureTest, ArmourIsAllOfTheText) {
  for (const std::string_view text :
       {"", "-----BEGIN SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE----------END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\n!\n-----END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\nAA==\n-----END SSH SIGNATURE-----\nx"}) {
    EXPECT_FALSE(RemoveArmour(text)) << text;
  }
}

}  // namespace
}  // namespace haft::trust

#include "test_keys.h"

#include <sodium.h>

#include "wire.h"

namespace haft::testing {
namespace {

using trust::AppendNumber;
using trust::AppendString;

const unsigned char* In(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}
unsigned char* Out(std::string& text) {
  return reinterpret_cast<unsigned char*>(text.data());
}

std::string Sha256(std::string_view text) {
  std::string digest(crypto_hash_sha256_BYTES, '\0');
  crypto_hash_sha256(Out(digest), In(text), text.size());
  return digest;
}

std::string Sha512(std::string_view text) {
  std::string digest(crypto_hash_sha512_BYTES, '\0');
  crypto_hash_sha512(Out(digest), In(text), text.size());
  return digest;
}

}  // namespace

TestKey::TestKey(std::uint8_t seed, std::string application)
    : secret_(crypto_sign_SECRETKEYBYTES, '\0'),
      point_(crypto_sign_PUBLICKEYBYTES, '\0'),
      application_(std::move(application)) {
  const std::string seeds(crypto_sign_SEEDBYTES, static_cast<char>(seed));
  crypto_sign_seed_keypair(Out(point_), Out(secret_), In(seeds));
}

std::string TestKey::type() const {
  return application_.empty() ? "ssh-ed25519" : "sk-ssh-ed25519@openssh.com";
}

std::string TestKey::blob() const {
  std::string blob;
  AppendString(blob, type());
  AppendString(blob, point_);
  if (!application_.empty()) AppendString(blob, application_);
  return blob;
}

std::string TestKey::line() const {
  return type() + " " + trust::EncodeBase64(blob());
}

std::string TestKey::Sign(std::string_view message, std::string_view purpose,
                          std::string_view hash) const {
  std::string data = "SSHSIG";
  AppendString(data, purpose);
  AppendString(data, "");
  AppendString(data, hash);
  AppendString(data, hash == "sha256" ? Sha256(message) : Sha512(message));
  const std::string added("\x01\x00\x00\x00\x07", 5);  // flags, counter
  if (!application_.empty()) data = Sha256(application_) + added + Sha256(data);
  std::string bytes(crypto_sign_BYTES, '\0');
  crypto_sign_detached(Out(bytes), nullptr, In(data), data.size(), In(secret_));

  std::string inner;
  AppendString(inner, type());
  AppendString(inner, bytes);
  if (!application_.empty()) inner += added;
  std::string blob = "SSHSIG";
  AppendNumber(blob, 1);
  AppendString(blob, this->blob());
  AppendString(blob, purpose);
  AppendString(blob, "");
  AppendString(blob, hash);
  AppendString(blob, inner);
  return blob;
}

}  // namespace haft::testing

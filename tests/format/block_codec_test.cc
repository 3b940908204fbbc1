#include "haft/format/block_codec.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>

#include "haft/base/file_io.h"
#include "haft/format/digest.h"
#include "support/expect.h"
#include "support/test_tree.h"

namespace haft::format {
namespace {

using haft::testing::Message;
using haft::testing::RandomBytes;

Block BlockFor(const EncodedBlock& encoded, std::size_t raw_size) {
  return {.offset = 64,
          .stored_size = static_cast<std::uint32_t>(encoded.stored.size()),
          .raw_size = static_cast<std::uint32_t>(raw_size),
          .digest = Sha256Of(encoded.stored),
          .codec = encoded.codec,
          .reserved = {}};
}

// Text as source code is: compressible, with some bytes that are not.
std::string Sample(std::size_t size, unsigned seed) {
  std::string text, noise = RandomBytes(size / 4 + 8, seed);
  for (std::size_t i = 0; text.size() < size; ++i) {
    text += "def function_" + std::to_string(i) + "(self, argument):\n    return " +
            noise.substr(i % noise.size(), 8);
  }
  return text.substr(0, size);
}

TEST(BlockCodecTest, GivesBackEverySize) {
  for (std::size_t size :
       {1u, 2u, 5u, 12u, 13u, 100u, 4095u, 4096u, 4097u, 65535u, 131072u, 1048576u}) {
    for (const std::string& text :
         {Sample(size, 1), RandomBytes(size, 2), std::string(size, '\0')}) {
      for (Codec codec : {Codec::kStored, Codec::kLz4, Codec::kZstd}) {
        EncodedBlock encoded = EncodeBlock(AsBytes(text), codec);
        ASSERT_LE(encoded.stored.size(), size);
        std::vector<std::byte> out(size);
        ASSERT_EQ(Message(DecodeBlock(BlockFor(encoded, size), encoded.stored, out)), "");
        ASSERT_EQ(AsText(out), text);
      }
    }
  }
}

TEST(BlockCodecTest, StoresWhatDoesNotGetSmaller) {
  EXPECT_EQ(EncodeBlock(AsBytes(RandomBytes(5000, 3)), Codec::kLz4).codec, Codec::kStored);
  EXPECT_EQ(EncodeBlock(AsBytes("x"), Codec::kLz4).codec, Codec::kStored);
  EncodedBlock zeros = EncodeBlock(std::vector<std::byte>(100'000), Codec::kLz4);
  EXPECT_EQ(zeros.codec, Codec::kLz4);
  EXPECT_LT(zeros.stored.size(), 1000u);
  // 4 % smaller is not worth a decode.
  std::string text = RandomBytes(96'000, 4) + std::string(4000, 'x');
  EXPECT_EQ(EncodeBlock(AsBytes(text), Codec::kLz4).codec, Codec::kStored);
  EXPECT_EQ(EncodeBlock(AsBytes(text + std::string(4000, 'x')), Codec::kLz4).codec, Codec::kLz4);
}

TEST(BlockCodecTest, SameBytesInSameBytesOut) {
  std::string text = Sample(50'000, 5);
  EXPECT_EQ(EncodeBlock(AsBytes(text), Codec::kLz4).stored,
            EncodeBlock(AsBytes(text), Codec::kLz4).stored);
}

TEST(BlockCodecTest, StoredBytesMayBeDecodedInPlace) {
  std::string text = RandomBytes(1000, 6);
  EncodedBlock encoded = EncodeBlock(AsBytes(text), Codec::kLz4);
  EXPECT_EQ(Message(DecodeBlock(BlockFor(encoded, 1000), encoded.stored, encoded.stored)), "");
  EXPECT_EQ(AsText(encoded.stored), text);
  Block block = BlockFor(encoded, 1000);
  encoded.stored[0] ^= std::byte{1};
  EXPECT_EQ(Message(DecodeBlock(block, encoded.stored, encoded.stored)), "block digest is wrong");
}

TEST(BlockCodecTest, SaysWhatIsWrong) {
  std::string text = Sample(10'000, 7);
  EncodedBlock lz4 = EncodeBlock(AsBytes(text), Codec::kLz4),
               stored = EncodeBlock(AsBytes(RandomBytes(100, 8)), Codec::kLz4);
  std::vector<std::byte> out(10'001);
  EXPECT_EQ(Message(DecodeBlock(BlockFor(lz4, 10'001), lz4.stored, out)),
            "lz4 block does not decode to its size");
  EXPECT_EQ(Message(DecodeBlock(BlockFor(lz4, 9'999), lz4.stored, std::span(out).first(9'999))),
            "lz4 block does not decode to its size");
  EXPECT_EQ(Message(DecodeBlock(BlockFor(stored, 99), stored.stored, std::span(out).first(99))),
            "stored block has two sizes");
  EncodedBlock zstd = EncodeBlock(AsBytes(text), Codec::kZstd);
  EXPECT_EQ(zstd.codec, Codec::kZstd);
  EXPECT_LT(zstd.stored.size(), lz4.stored.size());
  for (std::size_t size : {10'001u, 9'999u}) {
    EXPECT_EQ(Message(DecodeBlock(BlockFor(zstd, size), zstd.stored, std::span(out).first(size))),
              "zstd block does not decode to its size");
  }
  lz4.codec = Codec{3};
  auto unknown = DecodeBlock(BlockFor(lz4, 10'000), lz4.stored, std::span(out).first(10'000));
  EXPECT_EQ(Message(unknown), "block codec 3 is unknown");
  EXPECT_EQ(unknown.error().kind(), ErrorKind::kUnsupported);
}

TEST(BlockCodecTest, NoticesEveryFlippedBit) {
  std::string text = Sample(3'000, 9);
  EncodedBlock encoded = EncodeBlock(AsBytes(text), Codec::kZstd);
  Block block = BlockFor(encoded, text.size());
  std::vector<std::byte> out(text.size());
  for (std::size_t bit = 0; bit < encoded.stored.size() * 8; ++bit) {
    encoded.stored[bit / 8] ^= std::byte{1} << (bit % 8);
    ASSERT_EQ(Message(DecodeBlock(block, encoded.stored, out)), "block digest is wrong")
        << "bit " << bit;
    encoded.stored[bit / 8] ^= std::byte{1} << (bit % 8);
  }
}

// `size` bytes that end where memory ends: one byte more is a fault.
class GuardedBytes {
 public:
  explicit GuardedBytes(std::size_t size) {
    mapped_ = (size + kPage - 1) / kPage * kPage + kPage;
    base_ = static_cast<std::byte*>(
        ::mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || ::mprotect(base_ + mapped_ - kPage, kPage, PROT_NONE) != 0)
      std::abort();
  }
  GuardedBytes(const GuardedBytes&) = delete;
  GuardedBytes& operator=(const GuardedBytes&) = delete;
  ~GuardedBytes() { ::munmap(base_, mapped_); }

  // The last `size` bytes before the guard.
  std::span<std::byte> Last(std::size_t size) const {
    return {base_ + mapped_ - kPage - size, size};
  }

 private:
  static constexpr std::size_t kPage = 4096;
  std::byte* base_;
  std::size_t mapped_;
};

TEST(BlockCodecTest, MutatedBlocksNeverReachBeyondTheirBuffers) {
  constexpr std::size_t kMaxSize = 8192;
  constexpr int kMutations = 100'000;
  GuardedBytes output(kMaxSize), input(kMaxSize);
  std::mt19937 chance(20240601);
  auto below = [&](std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(chance);
  };
  std::vector<std::pair<EncodedBlock, std::size_t>> samples;
  for (std::size_t size : {20u, 300u, 2000u, 8192u}) {
    samples.emplace_back(EncodeBlock(AsBytes(Sample(size, 10)), Codec::kLz4), size);
    samples.emplace_back(EncodeBlock(AsBytes(Sample(size, 10)), Codec::kZstd), size);
    samples.emplace_back(EncodeBlock(std::vector<std::byte>(size), Codec::kLz4), size);
  }
  int decoded = 0;
  for (int i = 0; i < kMutations; ++i) {
    auto& [encoded, size] = samples[below(samples.size())];
    std::size_t stored_size = encoded.stored.size();
    if (below(4) == 0) stored_size = 1 + below(stored_size);
    auto stored = input.Last(stored_size);
    std::copy_n(encoded.stored.begin(), stored_size, stored.begin());
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) {
      constexpr std::byte kNasty[] = {std::byte{0}, std::byte{0xFF}, std::byte{0xF0},
                                      std::byte{0x0F}};
      std::byte& place = stored[below(stored.size())];
      place = below(2) == 0 ? kNasty[below(4)] : std::byte(below(256));
    }
    std::size_t raw_size = below(4) == 0 ? 1 + below(kMaxSize) : size;
    Block block{
        .offset = 64,
        .stored_size = static_cast<std::uint32_t>(stored_size),
        .raw_size = static_cast<std::uint32_t>(raw_size),
        .digest = Sha256Of(stored),
        .codec = below(8) == 0 ? Codec{static_cast<std::uint8_t>(below(256))} : encoded.codec,
        .reserved = {}};
    if (DecodeBlock(block, stored, output.Last(raw_size))) ++decoded;
  }
  // The point is that nothing faulted; that some decode shows that they are not all refused at
  // once.
  EXPECT_GT(decoded, 100);
  EXPECT_LT(decoded, kMutations / 2);
}

}  // namespace
}  // namespace haft::format

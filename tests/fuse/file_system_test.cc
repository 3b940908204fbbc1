#include "file_system.h"

#include <gtest/gtest.h>
#include <limits.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "format/forged_image.h"
#include "fuse/fuse_request.h"
#include "fuse_channel.h"
#include "fuse_operations.h"
#include "haft/format/limits.h"
#include "support/test_tree.h"

namespace haft {
namespace {

// The answer of a file system without a kernel to a request about `inode`.
template <typename Body>
std::vector<char> Ask(FileSystem& file_system, std::uint32_t inode, std::uint32_t opcode,
                      const Body& body) {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd kernel(ends[0]);
  char name[] = "test";
  char* argv[] = {name};
  fuse_args arguments = FUSE_ARGS_INIT(1, argv);
  const fuse_lowlevel_ops& operations = FuseOperations();
  std::unique_ptr<fuse_session, void (*)(fuse_session*)> session(
      fuse_session_new(&arguments, &operations, sizeof operations, &file_system),
      fuse_session_destroy);
  fuse_opt_free_args(&arguments);
  EXPECT_TRUE(ConnectSession(session.get(), ends[1]));
  std::vector<char> answer(1 << 20);
  auto ask = [&](std::vector<char> request) {
    fuse_buf buffer = {};
    buffer.mem = request.data();
    buffer.size = request.size();
    ProcessRequest(session.get(), buffer);
    ssize_t size = ::recv(kernel.get(), answer.data(), answer.size(), 0);
    answer.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  };
  fuse_init_in init = {};
  init.major = FUSE_KERNEL_VERSION;
  init.minor = FUSE_KERNEL_MINOR_VERSION;
  ask(FuseRequest(FUSE_INIT, 2, init));
  answer.resize(1 << 20);
  std::vector<char> request = FuseRequest(opcode, 4, body);
  reinterpret_cast<fuse_in_header*>(request.data())->nodeid = inode;
  ask(std::move(request));
  return answer;
}

// As many pieces as a reply may have are less than a writev takes; more are damage.
TEST(FileSystemTest, AReadOfManyTinyExtentsIsAnsweredOrRefused) {
  const std::string bytes = testing::RandomBytes(60'000, 1);
  testing::ForgedImage forged(testing::BuildImage(testing::MakeTree({{"f", bytes}})));
  const std::uint32_t row = forged.Row("f");
  const format::Extent whole = forged.ExtentOf("f");
  ASSERT_EQ(forged.extents.size(), 1u);
  forged.extents.clear();
  for (std::uint32_t offset = 0; offset < bytes.size(); offset += 20) {
    forged.extents.push_back({offset, 20, whole.block, whole.block_offset + offset});
  }
  forged.inodes[row].count = static_cast<std::uint32_t>(forged.extents.size());
  auto reader = ImageReader::Open(testing::MemoryFile(forged.Bytes()));
  ASSERT_TRUE(reader);
  FileSystem file_system(*std::move(reader), {.uid = 0, .gid = 0});
  for (std::uint32_t pieces : {1u, format::kMaxReadExtents, format::kMaxReadExtents + 1, 3000u}) {
    fuse_read_in read = {};
    read.size = pieces * 20;
    std::vector<char> answer = Ask(file_system, row + 1, FUSE_READ, read);
    ASSERT_GE(answer.size(), sizeof(fuse_out_header));
    const bool refused = pieces > format::kMaxReadExtents;
    EXPECT_EQ(reinterpret_cast<const fuse_out_header*>(answer.data())->error, refused ? -EIO : 0);
    EXPECT_EQ(std::string(answer.begin() + sizeof(fuse_out_header), answer.end()),
              refused ? "" : bytes.substr(0, read.size))
        << pieces;
  }
}

}  // namespace
}  // namespace haft

#include "fuse_channel.h"

#include <gtest/gtest.h>
#include <linux/fuse.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "fuse/fuse_request.h"
#include "haft/base/unique_fd.h"

namespace haft {
namespace {

constexpr std::uint32_t kKernelFlags = FUSE_ASYNC_READ | FUSE_PARALLEL_DIROPS;

// A session whose device is one end of a socket: the test is the kernel at the other.
class FuseChannelTest : public testing::Test {
 protected:
  FuseChannelTest() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    kernel_ = UniqueFd(ends[0]);
    char name[] = "test";
    char* argv[] = {name};
    fuse_args arguments = FUSE_ARGS_INIT(1, argv);
    static const fuse_lowlevel_ops operations = {
        .read =
            [](fuse_req_t request, fuse_ino_t, std::size_t size, off_t, fuse_file_info*) {
              fuse_reply_buf(request, std::vector<char>(size, 'x').data(), size);
            },
    };
    session_.reset(fuse_session_new(&arguments, &operations, sizeof operations, nullptr));
    fuse_opt_free_args(&arguments);
    EXPECT_TRUE(ConnectSession(session_.get(), ends[1]));
    device_ = ends[1];
  }

  template <typename Body>
  void Ask(std::uint32_t opcode, std::uint64_t unique, const Body& body) {
    std::vector<char> bytes = FuseRequest(opcode, unique, body);
    fuse_buf buffer = {};
    buffer.mem = bytes.data();
    buffer.size = bytes.size();
    ProcessRequest(session_.get(), buffer);
  }

  void AskInit(std::uint32_t flags) {
    fuse_init_in init = {};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = FUSE_KERNEL_MINOR_VERSION;
    init.max_readahead = 4096;
    init.flags = flags;
    Ask(FUSE_INIT, 2, init);
  }

  void AskRead(std::uint64_t unique, std::uint32_t size) {
    fuse_read_in read = {};
    read.size = size;
    Ask(FUSE_READ, unique, read);
  }

  // The next answer; empty if there is none.
  std::vector<char> Answer() {
    std::vector<char> bytes(1 << 20);
    ssize_t size = ::recv(kernel_.get(), bytes.data(), bytes.size(), 0);
    bytes.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
    return bytes;
  }

  fuse_out_header Header(const std::vector<char>& answer) {
    fuse_out_header header = {};
    EXPECT_GE(answer.size(), sizeof header);
    if (answer.size() >= sizeof header) std::memcpy(&header, answer.data(), sizeof header);
    return header;
  }

  std::uint32_t InitFlags() {
    std::vector<char> answer = Answer();
    fuse_init_out init = {};
    if (answer.size() >= sizeof(fuse_out_header) + sizeof init)
      std::memcpy(&init, answer.data() + sizeof(fuse_out_header), sizeof init);
    return init.flags;
  }

  struct Destroy {
    void operator()(fuse_session* session) const { fuse_session_destroy(session); }
  };
  UniqueFd kernel_;
  int device_ = -1;  // the session's
  std::unique_ptr<fuse_session, Destroy> session_;
};

TEST_F(FuseChannelTest, ParallelDirectoriesAreInTheReplyToInit) {
  AskInit(kKernelFlags);
  std::uint32_t flags = InitFlags();
  EXPECT_NE(flags & FUSE_PARALLEL_DIROPS, 0u);
  EXPECT_NE(flags & FUSE_ASYNC_READ, 0u);
}

TEST_F(FuseChannelTest, ParallelDirectoriesAreNotTakenFromAKernelThatHasNone) {
  AskInit(FUSE_ASYNC_READ);
  EXPECT_EQ(InitFlags() & FUSE_PARALLEL_DIROPS, 0u);
}

TEST_F(FuseChannelTest, ReplyThatCannotBeWrittenBecomesAnErrorForThatRequest) {
  AskInit(kKernelFlags);
  Answer();
  int bytes = 1024;
  ASSERT_EQ(::setsockopt(device_, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes), 0);
  AskRead(4, 65536);  // EMSGSIZE
  std::vector<char> answer = Answer();
  fuse_out_header header = Header(answer);
  EXPECT_EQ(header.unique, 4u);
  EXPECT_EQ(header.error, -EIO);
  EXPECT_EQ(answer.size(), sizeof header);
  AskRead(6, 10);
  answer = Answer();
  EXPECT_EQ(Header(answer).unique, 6u);
  EXPECT_EQ(Header(answer).error, 0);
  EXPECT_EQ(answer.size(), sizeof header + 10);
  EXPECT_TRUE(Answer().empty());
}

TEST_F(FuseChannelTest, WithoutAWayToAnswerTheProcessEnds) {
  AskInit(kKernelFlags);
  auto ask_into_the_void = [this] {
    ::signal(SIGPIPE, SIG_IGN);
    ::shutdown(kernel_.get(), SHUT_RDWR);
    AskRead(4, 10);
  };
  EXPECT_EXIT(ask_into_the_void(), testing::ExitedWithCode(1), "cannot answer a request");
}

}  // namespace
}  // namespace haft

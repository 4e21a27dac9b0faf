// Acceptor: which failures of accept are passing and which need a pause.
#include "worker/acceptor.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace {

using worker::AcceptFailure;
using worker::decide_accept_failure;

TEST(Acceptor, RetriesAtOnceWhenOnlyTheNewConnectionFailed) {
  for (const int errnum : {ECONNABORTED, EPROTO, EHOSTUNREACH, ENETUNREACH, ENETDOWN, EPERM, EINTR, EAGAIN}) {
    EXPECT_EQ(decide_accept_failure(errnum), AcceptFailure::kRetry) << errnum;
  }
}

TEST(Acceptor, PausesWhenDescriptorsOrMemoryAreShortAndWhenItDoesNotKnow) {
  for (const int errnum : {EMFILE, ENFILE, ENOBUFS, ENOMEM, EBADF, 9999}) {
    EXPECT_EQ(decide_accept_failure(errnum), AcceptFailure::kPause) << errnum;
  }
}

}  // namespace

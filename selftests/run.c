// SPDX-License-Identifier: GPL-2.0-only
/*
 * kvmfd run: programs that know nothing of kvmfd.  Each test is this program again, as
 * the command, in a role; what it calls is KVM.
 *
 * That a call does what KVM's does is for the other tests, which can be run in the same
 * way: make check SUPERVISED=1.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client.h"
#include "guest.h"
#include "harness.h"

/* ROUNDS can be many: what hangs is ended by the test host. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 7200

#define TOOL   "/kvmfd"
#define POLICY "/sys/module/kvmfd/parameters/foreign_attach"
#define ADDR   GUEST_MMIO_BASE
#define GSI    24

/* --- roles ---------------------------------------------------------------- */

static struct guest guest;
static int kick;
static int call;

static void make_guest(void)
{
	struct kvm_irq_routing_entry entry = route_msi(GSI, 0, GUEST_VECTOR);

	guest_create(&guest);
	guest_set_routing(&guest, &entry, 1);
	guest_take_interrupts(&guest);
}

static void assign_both(void)
{
	int err;

	kick = new_eventfd();
	call = new_eventfd();
	err = ioeventfd(guest.vm->fd, kick, ADDR, 4, 0, 0);
	if (!err)
		err = irqfd(guest.vm->fd, call, GSI, 0);
	TEST_ASSERT(!err, "assign: %s", strerror(err));
}

static void use_doorbell(void)
{
	TEST_ASSERT(!guest_write(&guest, SPACE_MMIO, ADDR, 4, 0), "an exit");
	TEST_ASSERT(eventfd_take(kick) == 1, "no kick");
}

static void use_irqfd(void)
{
	eventfd_ring(call);
	guest_take_interrupts(&guest);
	TEST_ASSERT(guest_interrupts(&guest, GUEST_VECTOR) == 1, "no interrupt");
}

static int find(int vm_fd, struct kvmfd_find *found)
{
	int fd = device_open(), err;

	err = -kvmfd_find_vm(fd, vm_fd, 0, 0, found);
	close(fd);
	return err;
}

/* By a supervisor's attachment, which is its id. */
static uint64_t served(int vm_fd)
{
	struct kvmfd_find found;
	int err = find(vm_fd, &found);

	TEST_ASSERT(!err, "KVMFD_FIND_VM: %s", strerror(err));
	TEST_ASSERT(found.attach_flags & KVMFD_VM_FOREIGN, "it is our own");
	TEST_ASSERT(found.attacher != getpid(), "we have attached");
	return found.attachment;
}

static void be_plain(void)
{
	make_guest();
	assign_both();
	served(guest.vm->fd);
	use_doorbell();
	use_irqfd();
}

/* One of kvmfd's requests beside those that are taken over, on a VM and on no VM. */
static void be_wrong(void)
{
	int err;

	make_guest();
	err = ioeventfd(guest.vm->fd, 1000, ADDR, 4, 0, 0);
	TEST_ASSERT(err == EBADF, "no such eventfd: %s", strerror(err));
	err = ioeventfd(guest.vm->fd, guest.vm->fd, ADDR, 4, 0, 0);
	TEST_ASSERT(err == EINVAL, "no eventfd: %s", strerror(err));
	err = do_ioctl(guest.vm->fd, KVM_IRQFD, NULL);
	TEST_ASSERT(err == EFAULT, "no argument: %s", strerror(err));
	err = ioeventfd(1000, new_eventfd(), ADDR, 4, 0, 0);
	TEST_ASSERT(err == EBADF, "no such VM: %s", strerror(err));
	err = ioeventfd(guest.vcpu->fd, new_eventfd(), ADDR, 4, 0, 0);
	TEST_ASSERT(err == EINVAL, "a vCPU: %s", strerror(err));
	err = ioeventfd(new_eventfd(), new_eventfd(), ADDR, 4, 0, 0);
	TEST_ASSERT(err == ENOTTY, "an eventfd: %s", strerror(err));
}

static void be_own_client(void)
{
	int fd;

	make_guest();
	fd = device_open_attached(guest.vm->fd);
	kick = new_eventfd();
	TEST_ASSERT(!ioeventfd(fd, kick, ADDR, 4, 0, 0), "own attachment");
	use_doorbell();
	/* And KVM's, which nobody takes over then. */
	TEST_ASSERT(!ioeventfd(guest.vm->fd, new_eventfd(), ADDR + 8, 4, 0, 0), "KVM's");
	TEST_ASSERT(device_info(fd).nr_ioeventfds == 1, "taken over all the same");
}

static void be_parent(void)
{
	int status, err;
	pid_t pid;

	make_guest();
	assign_both();
	pid = fork();
	if (!pid) {
		err = ioeventfd(guest.vm->fd, new_eventfd(), ADDR + 8, 4, 0, 0);
		TEST_ASSERT(err == EIO, "the parent's VM: %s", strerror(err));
		be_plain();
		_exit(0);
	}
	TEST_ASSERT(waitpid(pid, &status, 0) == pid && !status, "the child failed");
	use_doorbell();
	use_irqfd();
}

/* The first process ends, and what it made goes on; as `-daemonize`. */
static void be_daemon(void)
{
	if (fork())
		return;
	setsid();
	/* All that it does not know of. */
	syscall(SYS_close_range, 3, ~0U, 0);
	be_plain();
}

/* We have made none ourselves. */
static unsigned int count_sockets(void)
{
	char path[32], what[32];
	unsigned int n = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n += readlink(path, what, sizeof(what)) > 0 && !strncmp(what, "socket:", 7);
	}
	return n;
}

static void be_many_vms(void)
{
	unsigned int before = count_vms(), most = 0, ms, i;

	for (i = 0; i < 200; i++) {
		make_guest();
		assign_both();
		use_doorbell();
		use_irqfd();
		close(kick);
		close(call);
		kvm_vm_free(guest.vm);
		if (count_vms() > most)
			most = count_vms();
	}
	TEST_ASSERT(most <= before + 3, "%u VMs were alive, %u before", most, before);
	TEST_ASSERT(count_sockets() == 1, "%u sockets are kept here", count_sockets());
	for (ms = 0; count_vms() > before; ms += 10) {
		TEST_ASSERT(ms < 1000, "the last VM is still there");
		poll(NULL, 0, 10);
	}
}

static void be_without_vm_fd(void)
{
	make_guest();
	assign_both();
	close(guest.vm->fd);
	use_doorbell();
	eventfd_ring(call);
	TEST_ASSERT(eventfd_take(call) == 1, "the irqfd goes on");
	use_doorbell();
}

static void be_new_vm_at_old_fd(void)
{
	struct guest old;
	uint64_t first;
	int number, dupped;

	make_guest();
	assign_both();
	old = guest;
	number = old.vm->fd;
	first = served(number);
	dupped = dup(number);
	close(number);

	make_guest();
	TEST_ASSERT(guest.vm->fd == number || dup2(guest.vm->fd, number) == number, "dup2");
	TEST_ASSERT(!ioeventfd(number, new_eventfd(), ADDR, 4, 0, 0), "the new VM");
	TEST_ASSERT(served(number) != first, "it is the old VM");
	TEST_ASSERT(served(dupped) == first, "the old VM is another");
	TEST_ASSERT(ioeventfd(dupped, new_eventfd(), ADDR, 4, 0, 0) == EEXIST, "the old VM");
	guest = old;
	use_doorbell();
}

struct part {
	pthread_t thread;
	unsigned int number;
	struct kvm_vm *vm;
};

static void *ring_own_vm(void *arg)
{
	const struct part *part = arg;
	int efd = new_eventfd(), vm = part->vm->fd, err;
	unsigned int i;

	for (i = 0; i < 50; i++) {
		err = ioeventfd(vm, efd, ADDR + 8 * part->number, 4, 0, 0);
		if (!err)
			err = ioeventfd(vm, efd, ADDR + 8 * part->number, 4,
					KVM_IOEVENTFD_FLAG_DEASSIGN, 0);
		TEST_ASSERT(!err, "thread %u: %s", part->number, strerror(err));
	}
	close(vm);
	return NULL;
}

static void be_threads(void)
{
	struct part parts[8];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		parts[i].number = i;
		parts[i].vm = vm_create_barebones();
	}
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		TEST_ASSERT(!pthread_create(&parts[i].thread, NULL, ring_own_vm, &parts[i]),
			    "pthread_create");
	}
	for (i = 0; i < ARRAY_SIZE(parts); i++)
		pthread_join(parts[i].thread, NULL);
}

/* Since Linux 6.9: without it nothing can be fetched from a thread with fds of its own. */
static bool threads_have_pidfds(void)
{
	return syscall(SYS_pidfd_open, gettid(), O_EXCL) >= 0;
}

static void *be_apart(void *arg)
{
	int wanted = threads_have_pidfds() ? 0 : ENOMEM, err;

	(void)arg;
	TEST_ASSERT(!unshare(CLONE_FILES), "unshare: %s", strerror(errno));
	err = ioeventfd(guest.vm->fd, new_eventfd(), ADDR + 8, 4, 0, 0);
	TEST_ASSERT(err == wanted, "assign: %s, wanted: %s", strerror(err), strerror(wanted));
	return NULL;
}

static void be_thread_apart(void)
{
	pthread_t thread;

	make_guest();
	assign_both();
	TEST_ASSERT(!pthread_create(&thread, NULL, be_apart, NULL), "pthread_create");
	pthread_join(thread, NULL);
	use_doorbell();
}

static atomic_uint signals;
/* How often the call that is being made has been interrupted. */
static atomic_uint in_vain;

static void on_signal(int signal)
{
	(void)signal;
	signals++;
}

static void *send_signals(void *arg)
{
	pthread_t *to = arg;
	unsigned int i;

	for (i = 0;; i++) {
		if (pthread_kill(*to, SIGUSR1))
			return NULL;
		/* Each time somewhere else in the call. */
		if (i % 7)
			sched_yield();
		/* Where all is slow none would ever be made. */
		while (in_vain > 10)
			sched_yield();
		pthread_testcancel();
	}
}

/*
 * A call that a signal ends before the supervisor has heard of it is EINTR, and has not
 * been made.  All others have been made, once.
 */
static void be_stormed(void)
{
	unsigned int calls = from_environment("ROUNDS", 4000), i, interrupted = 0;
	struct sigaction action = { .sa_handler = on_signal };
	pthread_t self = pthread_self(), sender;
	int efd = new_eventfd(), err;

	make_guest();
	sigaction(SIGUSR1, &action, NULL);
	TEST_ASSERT(!pthread_create(&sender, NULL, send_signals, &self), "pthread_create");
	for (i = 0; i < calls; i++) {
		do {
			err = ioeventfd(guest.vm->fd, efd, ADDR, 4,
					i % 2 ? KVM_IOEVENTFD_FLAG_DEASSIGN : 0, 0);
			in_vain += err == EINTR;
		} while (err == EINTR);
		interrupted += in_vain;
		in_vain = 0;
		TEST_ASSERT(!err, "call %u: %s", i, strerror(err));
	}
	pthread_cancel(sender);
	pthread_join(sender, NULL);
	printf("# %u calls, %u signals, %u calls were interrupted\n", calls, signals,
	       interrupted);
	TEST_ASSERT(signals > calls / 10, "that was no storm");
}

static void be_orphaned(void)
{
	int fd, err;

	make_guest();
	assign_both();
	TEST_ASSERT(!kill(getppid(), SIGKILL), "kill");
	/* The front is our parent then. */
	while (getppid() != (pid_t)from_environment("FRONT", 0))
		poll(NULL, 0, 1);
	use_doorbell();
	use_irqfd();
	fd = device_open();
	served(guest.vm->fd);
	close(fd);
	err = ioeventfd(guest.vm->fd, new_eventfd(), ADDR + 8, 4, 0, 0);
	TEST_ASSERT(err == ENOSYS, "there is nobody to answer: %s", strerror(err));
	use_doorbell();
}

static pid_t parent_of(pid_t pid)
{
	char path[32];
	pid_t parent;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	TEST_ASSERT(f && fscanf(f, "%*d (%*[^)]) %*c %d", &parent) == 1, "cannot read %s", path);
	fclose(f);
	return parent;
}

/* The supervisor's parent is what the user started. */
static void be_without_front(void)
{
	pid_t supervisor = getppid(), front = parent_of(supervisor);

	make_guest();
	TEST_ASSERT(!kill(front, SIGKILL), "kill");
	while (parent_of(supervisor) == front)
		poll(NULL, 0, 1);
	assign_both();
	served(guest.vm->fd);
	use_doorbell();
	use_irqfd();
}

static void be_killed(void)
{
	be_plain();
	kill(getpid(), SIGKILL);
}

static void be_native(void)
{
	struct kvmfd_find found;
	int err;

	make_guest();
	assign_both();
	err = find(guest.vm->fd, &found);
	TEST_ASSERT(err == ENOENT, "it is served: %s", strerror(err));
	use_doorbell();
	use_irqfd();
	TEST_ASSERT(!ioeventfd(guest.vm->fd, kick, ADDR, 4, KVM_IOEVENTFD_FLAG_DEASSIGN, 0),
		    "deassign");
	TEST_ASSERT(!irqfd(guest.vm->fd, call, GSI, KVM_IRQFD_FLAG_DEASSIGN), "deassign");
}

static void be_refused(void)
{
	int err;

	make_guest();
	file_write(POLICY, "none");
	err = ioeventfd(guest.vm->fd, new_eventfd(), ADDR, 4, 0, 0);
	file_write(POLICY, "capable");
	TEST_ASSERT(err == ENOMEM, "assign: %s", strerror(err));
}

/* It tells its pid when a signal can come. */
static void be_asleep(void)
{
	TEST_ASSERT(!eventfd_write(from_environment("AWAITED", 0), getpid()), "eventfd_write");
	for (;;)
		pause();
}

static const struct role {
	const char *name;
	void (*be)(void);
} roles[] = {
	{ "plain", be_plain },
	{ "wrong", be_wrong },
	{ "own_client", be_own_client },
	{ "parent", be_parent },
	{ "daemon", be_daemon },
	{ "many_vms", be_many_vms },
	{ "without_vm_fd", be_without_vm_fd },
	{ "new_vm_at_old_fd", be_new_vm_at_old_fd },
	{ "threads", be_threads },
	{ "thread_apart", be_thread_apart },
	{ "stormed", be_stormed },
	{ "orphaned", be_orphaned },
	{ "without_front", be_without_front },
	{ "killed", be_killed },
	{ "native", be_native },
	{ "refused", be_refused },
	{ "asleep", be_asleep },
};

static void __attribute__((constructor)) play(void)
{
	const char *name = getenv("ROLE");
	unsigned int i;

	if (!name)
		return;
	for (i = 0; i < ARRAY_SIZE(roles); i++) {
		if (strcmp(name, roles[i].name))
			continue;
		roles[i].be();
		fflush(stdout);
		_exit(0);
	}
	_exit(2);
}

/* --- the tests ------------------------------------------------------------ */

#define REPORT "/tmp/run-report.json"

FIXTURE(run)
{
	unsigned int vms;
	unsigned int users;
	char self[128];
};

FIXTURE_SETUP(run)
{
	ssize_t n = readlink("/proc/self/exe", self->self, sizeof(self->self) - 1);

	ASSERT_LT(0, n);
	self->self[n] = 0;
	self->vms = count_vms();
	self->users = module_users();
	/* What is left of the command becomes ours. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	unlink(REPORT);
}

static bool all_over(const FIXTURE_DATA(run) * self)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return count_vms() == self->vms && module_users() == self->users;
}

/* Nobody is left behind, whoever was killed. */
FIXTURE_TEARDOWN(run)
{
	unsigned int ms;

	for (ms = 0; !all_over(self) && ms < PATIENCE_MS; ms += 10)
		poll(NULL, 0, 10);
	EXPECT_TRUE(all_over(self));
}

/* What the front does before it is one. */
static void (*prepare)(void);

static pid_t start(const FIXTURE_DATA(run) * self, const char *role, const char *option,
		   const char *value)
{
	char front[16];
	pid_t pid = fork();

	TEST_ASSERT(pid >= 0, "fork: %s", strerror(errno));
	if (pid)
		return pid;
	snprintf(front, sizeof(front), "%d", getpid());
	setenv("FRONT", front, 1);
	setenv("ROLE", role, 1);
	if (prepare)
		prepare();
	if (!option)
		execl(TOOL, TOOL, "run", "--report", REPORT, "--", self->self, NULL);
	else if (!value)
		execl(TOOL, TOOL, "run", "--report", REPORT, option, self->self, NULL);
	else
		execl(TOOL, TOOL, "run", "--report", REPORT, option, value, self->self, NULL);
	_exit(3);
}

static int run_with(const FIXTURE_DATA(run) * self, const char *role, const char *option,
		    const char *value)
{
	pid_t pid = start(self, role, option, value);
	int status;

	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
	return status;
}

static int run(const FIXTURE_DATA(run) * self, const char *role)
{
	return run_with(self, role, NULL, NULL);
}

#define TEST_ROLE(role)                         \
	TEST_F(run, role)                       \
	{                                       \
		EXPECT_EQ(0, run(self, #role)); \
	}

TEST_ROLE(plain)
TEST_ROLE(wrong)
TEST_ROLE(own_client)
TEST_ROLE(parent)
TEST_ROLE(many_vms)
TEST_ROLE(without_vm_fd)
TEST_ROLE(new_vm_at_old_fd)
TEST_ROLE(threads)
TEST_ROLE(stormed)
TEST_ROLE(orphaned)
TEST_ROLE(refused)

TEST_F(run, thread_apart)
{
	/* The supervisor does not find out without it. */
	if (syscall(SYS_kcmp, getpid(), getpid(), KCMP_FILES, 0, 0) && errno == ENOSYS)
		SKIP(return, "this kernel has no kcmp()");
	EXPECT_EQ(0, run(self, "thread_apart"));
}

/* The number behind a name in the report, the @nth of that name; -1 if there is none. */
static long reported(const char *name, unsigned int nth)
{
	char text[65536] = "", pattern[64];
	const char *at = text;
	FILE *f = fopen(REPORT, "re");
	size_t n;

	if (!f)
		return -1;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = 0;
	fclose(f);
	snprintf(pattern, sizeof(pattern), "\"%s\": ", name);
	do {
		at = strstr(at, pattern);
		if (!at)
			return -1;
		at += strlen(pattern);
	} while (nth--);
	return strtol(at, NULL, 10);
}

TEST_F(run, is_reported)
{
	ASSERT_EQ(0, run(self, "plain"));
	EXPECT_EQ(1, reported("assign", 0));
	EXPECT_EQ(0, reported("deassign", 0));
	EXPECT_EQ(1, reported("assign", 1));
	/* "native" */
	EXPECT_EQ(0, reported("ioeventfd", 0));
	EXPECT_EQ(1, reported("hits", 0));
	EXPECT_EQ(1, reported("inline", 0));
}

TEST_F(run, daemon)
{
	unsigned int ms;

	ASSERT_EQ(0, run(self, "daemon"));
	/* The report comes when the daemon has ended. */
	for (ms = 0; reported("hits", 0) != 1 && ms < PATIENCE_MS; ms += 10)
		poll(NULL, 0, 10);
	EXPECT_EQ(1, reported("hits", 0));
	EXPECT_EQ(1, reported("inline", 0));
}

TEST_F(run, without_front)
{
	int status = run(self, "without_front");
	unsigned int ms;

	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	/* The rest goes on. */
	for (ms = 0; reported("hits", 0) != 1 && ms < PATIENCE_MS; ms += 10)
		poll(NULL, 0, 10);
	EXPECT_EQ(1, reported("hits", 0));
}

TEST_F(run, killed)
{
	int status = run(self, "killed");

	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
	EXPECT_EQ(1, reported("hits", 0));
	EXPECT_EQ(1, reported("inline", 0));
}

/* As a program may have it that does not care what becomes of those that it starts. */
TEST_F(run, children_ignored)
{
	int status;
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	pid = start(self, "killed", NULL, NULL);
	signal(SIGCHLD, SIG_DFL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGKILL, WTERMSIG(status));
}

/* The signal that ended the command, sent by @send to the front; 0 if none has. */
static int ended_by(const FIXTURE_DATA(run) * self, void (*send)(pid_t front))
{
	struct pollfd awaited = { .fd = eventfd(0, 0), .events = POLLIN };
	struct pollfd ended = { .events = POLLIN };
	eventfd_t command;
	char number[16];
	bool left;
	int status;
	pid_t pid;

	snprintf(number, sizeof(number), "%d", awaited.fd);
	setenv("AWAITED", number, 1);
	pid = start(self, "asleep", NULL, NULL);
	ended.fd = syscall(SYS_pidfd_open, pid, 0);
	TEST_ASSERT(poll(&awaited, 1, PATIENCE_MS) == 1, "it does not begin");
	TEST_ASSERT(!eventfd_read(awaited.fd, &command), "eventfd_read");
	send(pid);
	poll(&ended, 1, PATIENCE_MS);
	/* If it was the front that the signal killed, or nobody. */
	left = !kill(command, SIGKILL);
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "waitpid: %s", strerror(errno));
	close(ended.fd);
	close(awaited.fd);
	return !left && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void send_usr1(pid_t front)
{
	kill(front, SIGUSR1);
}

TEST_F(run, hands_signals_on)
{
	EXPECT_EQ(SIGUSR1, ended_by(self, send_usr1));
}

/* A timer outlives execve(), and is its process's.  Front and command are there in time. */
static void have_timer(void)
{
	const struct itimerval often = { { .tv_usec = 100000 }, { .tv_sec = 10 } };

	setitimer(ITIMER_REAL, &often, NULL);
}

static void send_nothing(pid_t front)
{
}

TEST_F(run, hands_timers_on)
{
	prepare = have_timer;
	EXPECT_EQ(SIGALRM, ended_by(self, send_nothing));
}

static int terminal;

static void lead_session(void)
{
	int fd;

	setsid();
	fd = open(ptsname(terminal), O_RDWR | O_CLOEXEC);
	TEST_ASSERT(fd >= 0 && !ioctl(fd, TIOCSCTTY, 0), "no terminal");
	close(fd);
}

static void hang_up(pid_t front)
{
	close(terminal);
}

/* Nobody but its leader is told of the end of a session. */
TEST_F(run, hands_hangup_on)
{
	mkdir("/dev/pts", 0755);
	mount("devpts", "/dev/pts", "devpts", 0, NULL);
	terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (terminal < 0)
		SKIP(return, "this kernel has no pseudo-terminals");
	ASSERT_EQ(0, unlockpt(terminal));
	prepare = lead_session;
	EXPECT_EQ(SIGHUP, ended_by(self, hang_up));
	umount("/dev/pts");
}

TEST_F(run, only_irqfd)
{
	ASSERT_EQ(0, run_with(self, "plain", "--only", "irqfd"));
	EXPECT_EQ(0, reported("assign", 0));
	EXPECT_EQ(1, reported("assign", 1));
	EXPECT_EQ(-1, reported("hits", 0));
}

TEST_F(run, fallback)
{
	int status;

	file_write(POLICY, "none");
	status = run_with(self, "native", "--fallback", NULL);
	file_write(POLICY, "capable");
	EXPECT_EQ(0, status);
	EXPECT_EQ(2, reported("ioeventfd", 1));
	EXPECT_EQ(2, reported("irqfd", 1));
}

TEST_F(run, refused_at_once)
{
	int status;

	file_write(POLICY, "none");
	status = run(self, "plain");
	file_write(POLICY, "capable");
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(125, WEXITSTATUS(status));
}

TEST_HARNESS_MAIN

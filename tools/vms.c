// SPDX-License-Identifier: GPL-2.0-only
/* Which VMs are on kvmfd?  Found by the fds of /dev/kvmfd that processes have. */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "watch.h"

/* How often counters are read anew because entries went meanwhile. */
#define TRIES 10

/* A process that was named, and has told nothing yet. */
enum fate {
	ABSENT,
	PRESENT,
	REFUSED,
	SEEN,
};

/**
 * struct walk - a look that is under way
 * @look: what has been found
 * @device: the number of /dev/kvmfd
 * @pids: whose VMs are wanted
 * @visit: what to do at each
 */
struct walk {
	struct look *look;
	dev_t device;
	const struct pids *pids;
	look_visit visit;
};

/* Of the processes that were named, by the last look. */
static enum fate *fates;

/* 0 if it is none. */
static pid_t pid_of(const char *text)
{
	char *end;
	long pid;

	if (!isdigit((unsigned char)*text))
		return 0;
	pid = strtol(text, &end, 10);
	return !*end && pid > 0 && pid == (pid_t)pid ? pid : 0;
}

void pids_add(struct pids *pids, const char *text)
{
	pid_t pid = pid_of(text);

	if (!pid)
		die("--pid wants the id of a process, not '%s'", text);
	pids->pids = must_resize(pids->pids, (pids->nr + 1) * sizeof(*pids->pids));
	pids->pids[pids->nr++] = pid;
}

/* Names can be anything, and a device can have many. */
static int find_device(dev_t *device)
{
	FILE *f = fopen("/sys/class/misc/kvmfd/dev", "re");
	unsigned int major, minor;
	int n;

	if (!f)
		return -errno;
	n = fscanf(f, "%u:%u", &major, &minor);
	fclose(f);
	if (n != 2)
		return -EIO;
	*device = makedev(major, minor);
	return 0;
}

static bool is_device_file(int fd, dev_t device)
{
	struct stat file;

	return !fstat(fd, &file) && S_ISCHR(file.st_mode) && file.st_rdev == device;
}

bool fd_is_kvmfd(int fd)
{
	dev_t device;

	return !find_device(&device) && is_device_file(fd, device);
}

static void learn(const struct walk *w, pid_t pid, enum fate fate)
{
	size_t i;

	for (i = 0; i < w->pids->nr; i++)
		if (w->pids->pids[i] == pid && fates[i] < fate)
			fates[i] = fate;
}

static bool is_named(const struct walk *w, pid_t pid)
{
	size_t i;

	for (i = 0; i < w->pids->nr; i++)
		if (w->pids->pids[i] == pid)
			return true;
	return !w->pids->nr;
}

static void read_entries(int fd, struct seen *vm)
{
	uint64_t cursor = 0;
	size_t room = 0;
	int n;

	vm->nr = 0;
	do {
		room += 256;
		vm->entries = must_resize(vm->entries, room * sizeof(*vm->entries));
		n = kvmfd_list(fd, 0, &cursor, vm->entries + vm->nr, room - vm->nr);
		vm->nr += n > 0 ? n : 0;
	} while (vm->nr == room);
}

static bool same_sums(const struct kvmfd_info *a, const struct kvmfd_info *b)
{
	return a->retired_hits == b->retired_hits &&
	       a->retired_inline_calls == b->retired_inline_calls &&
	       a->retired_deferred_calls == b->retired_deferred_calls;
}

/* What an entry has counted is either in the list or in the sums of those that are no more. */
static void read_counters(int fd, struct seen *vm)
{
	struct kvmfd_info before;
	int tries = TRIES;

	do {
		before = vm->info;
		read_entries(fd, vm);
	} while (!kvmfd_get_info(fd, &vm->info) && !same_sums(&before, &vm->info) && --tries);
}

static struct seen *seen_of(struct look *l, const struct kvmfd_info *info)
{
	struct seen *vm;
	size_t i;

	for (i = 0; i < l->nr; i++)
		if (l->vms[i].info.attachment == info->attachment)
			return &l->vms[i];
	l->vms = must_resize(l->vms, (l->nr + 1) * sizeof(*l->vms));
	vm = &l->vms[l->nr++];
	memset(vm, 0, sizeof(*vm));
	vm->info = *info;
	return vm;
}

/* An fd of kvmfd's: ours, of what a process has open. */
static void look_at_fd(struct walk *w, int fd, pid_t holder)
{
	struct kvmfd_info info;
	struct seen *vm;
	bool named;

	if (kvmfd_get_info(fd, &info) || !info.attachment)
		return;
	vm = seen_of(w->look, &info);
	named = is_named(w, holder) || (info.owner && is_named(w, info.owner));
	learn(w, holder, SEEN);
	if (info.owner)
		learn(w, info.owner, SEEN);
	if (!named || vm->wanted)
		return;
	vm->wanted = true;
	vm->pid = info.owner ?: holder;
	process_name(vm->pid, vm->comm);
	read_counters(fd, vm);
	if (w->visit)
		w->visit(fd, vm);
}

/* Can it be of kvmfd?  What is there can be another file at any time. */
static bool is_device(const struct walk *w, int dir, const char *name)
{
	struct statx file;
	char path[2];

	/* Sockets, pipes and the like have no path; and no server is to be asked. */
	if (readlinkat(dir, name, path, sizeof(path)) < 1 || *path != '/')
		return false;
	return !statx(dir, name, AT_STATX_DONT_SYNC, STATX_TYPE, &file) &&
	       S_ISCHR(file.stx_mode) &&
	       makedev(file.stx_rdev_major, file.stx_rdev_minor) == w->device;
}

/* False if we may not. */
static bool look_at_copy(struct walk *w, int pidfd, int theirs, pid_t holder)
{
	int fd = pidfd_getfd(pidfd, theirs, 0);

	if (fd < 0)
		return errno != EPERM;
	if (is_device_file(fd, w->device))
		look_at_fd(w, fd, holder);
	close(fd);
	return true;
}

static bool look_at_fds(struct walk *w, int pidfd, DIR *dir, pid_t holder)
{
	struct dirent *d;
	bool may = true;

	while (may && (d = readdir(dir)))
		if (isdigit((unsigned char)*d->d_name) &&
		    is_device(w, dirfd(dir), d->d_name))
			may = look_at_copy(w, pidfd, atoi(d->d_name), holder);
	return may;
}

/* Threads of the kernel's have no command line, nor any fd. */
static bool is_kernels(pid_t pid)
{
	char path[32], byte;
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT;
	n = read(fd, &byte, 1);
	close(fd);
	return n <= 0;
}

/* It can end at any moment. */
static void look_at_process(struct walk *w, pid_t pid)
{
	/* The directory is of the process that has this fd, or of none. */
	int pidfd = pidfd_open(pid, 0);
	char path[32];
	bool may;
	DIR *dir;

	if (pidfd < 0)
		return;
	learn(w, pid, PRESENT);
	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	dir = opendir(path);
	may = dir || errno != EACCES;
	if (dir) {
		may = look_at_fds(w, pidfd, dir, pid);
		closedir(dir);
	}
	close(pidfd);
	if (may || is_kernels(pid))
		return;
	learn(w, pid, REFUSED);
	w->look->refused++;
}

static int by_attachment(const void *a, const void *b)
{
	uint64_t one = ((const struct seen *)a)->info.attachment;
	uint64_t other = ((const struct seen *)b)->info.attachment;

	return one < other ? -1 : one > other;
}

static void drop_unwanted(struct look *l)
{
	size_t i, nr = 0;

	for (i = 0; i < l->nr; i++)
		if (l->vms[i].wanted)
			l->vms[nr++] = l->vms[i];
	l->nr = nr;
	if (nr)
		qsort(l->vms, nr, sizeof(*l->vms), by_attachment);
}

int look(struct look *l, const struct pids *pids, look_visit visit)
{
	struct walk w = { .look = l, .pids = pids, .visit = visit };
	struct dirent *d;
	DIR *dir;
	int err;

	memset(l, 0, sizeof(*l));
	err = find_device(&w.device);
	if (err)
		return err;
	dir = opendir("/proc");
	if (!dir)
		return -errno;
	fates = must_resize(fates, (pids->nr + 1) * sizeof(*fates));
	memset(fates, 0, (pids->nr + 1) * sizeof(*fates));
	while ((d = readdir(dir)))
		if (pid_of(d->d_name) && pid_of(d->d_name) != getpid())
			look_at_process(&w, pid_of(d->d_name));
	closedir(dir);
	drop_unwanted(l);
	return 0;
}

void look_failed(int err)
{
	if (err == -ENOENT)
		die("no /dev/kvmfd: the module kvmfd is not loaded");
	die("cannot find kvmfd: %s", strerror(-err));
}

void look_first(struct look *l, const struct pids *pids, look_visit visit)
{
	int err = look(l, pids, visit);
	size_t i;

	if (err)
		look_failed(err);
	for (i = 0; i < pids->nr; i++) {
		if (fates[i] == ABSENT)
			die("no process %d", pids->pids[i]);
		if (fates[i] == REFUSED)
			die("process %d may not be looked at", pids->pids[i]);
		if (fates[i] == PRESENT && l->refused)
			say("process %d: nothing seen; %u processes may not be looked at",
			    pids->pids[i], l->refused);
	}
	if (!pids->nr && l->refused)
		say("%u processes may not be looked at", l->refused);
}

void look_again(struct look *l, const struct pids *pids, look_visit visit)
{
	int err = look(l, pids, visit);

	if (err)
		look_failed(err);
}

void look_free(struct look *l)
{
	while (l->nr)
		free(l->vms[--l->nr].entries);
	free(l->vms);
	l->vms = NULL;
}

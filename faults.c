// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults on demand, for who tests a VMM or a guest: a doorbell's signals, or an irqfd's
 * interrupts, are dropped, delayed or doubled.
 *
 * In debugfs, for root alone, kvmfd/faults/inject takes "ATTACHMENT:ENTRY", as KVMFD_LIST
 * numbers them; there is a directory of that name then, with knobs as the kernel's own
 * fault injection has them.  "!ATTACHMENT:ENTRY" ends it, and so does the end of the
 * attachment's file.  Without a fault nobody looks for one: writes and wake-ups have the
 * same way round it as round tracepoints.
 */
#include <linux/debugfs.h>
#include <linux/eventfd.h>
#include <linux/jiffies.h>
#include <linux/random.h>
#include <linux/rculist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "kvmfd.h"
#include "trace.h"

#define MAX_FAULTS 64

/* So many events can be under way of one fault. */
#define MAX_HELD 64

enum action {
	DROP,
	DELAY,
	DUPLICATE,
};

static const char *const actions[] = {
	[DROP] = "drop",
	[DELAY] = "delay",
	[DUPLICATE] = "duplicate",
};

/**
 * struct kvmfd_fault - what befalls a doorbell or an irqfd
 * @link: in the list of all, walked within RCU
 * @p: the attachment.  No reference: its end is the fault's.
 * @id: the item's
 * @kind: the item's, KVMFD_ENTRY_*
 * @dir: the knobs
 * @action: what befalls an event
 * @probability: in percent
 * @interval: only each so many'th event is considered
 * @times: so many events yet; below 0 for any number
 * @delay: in ms, of an event that is delayed, or comes once more
 * @lock: irq-safe, protects what follows
 * @seen: events that were considered
 * @struck: events that it befell
 * @due: when those come that are under way, in jiffies: a ring
 * @first: the next of them
 * @nr_held: how many there are
 * @work: has them come
 */
struct kvmfd_fault {
	struct list_head link;
	struct kvmfd *p;
	u64 id;
	u32 kind;
	struct dentry *dir;
	u32 action;
	u32 probability;
	u32 interval;
	atomic_t times;
	u32 delay;

	spinlock_t lock; /* seen ... nr_held */
	u64 seen;
	u64 struck;
	unsigned long due[MAX_HELD];
	unsigned int first;
	unsigned int nr_held;
	struct delayed_work work;
};

static struct dentry *kvmfd_dir;
static struct dentry *faults_dir;
static LIST_HEAD(faults);
static unsigned int nr_faults;
static DEFINE_MUTEX(faults_lock); /* changes of the list, nr_faults */

/* Comes now what was to come before. */
static void come(struct kvmfd_fault *f)
{
	struct kvmfd *p = f->p;
	struct kvmfd_item *item;

	spin_lock(&p->state_lock);
	item = kvmfd_item_find(p, f->id);
	if (item && f->kind == KVMFD_ENTRY_IOEVENTFD)
		kvmfd_eventfd_signal(container_of(item, struct kvmfd_doorbell, item)->eventfd);
	else if (item)
		kvmfd_inject_again(container_of(item, struct kvmfd_irqfd, item));
	spin_unlock(&p->state_lock);
}

/* Is there one that is due, or any one if @whole? */
static bool release_one(struct kvmfd_fault *f, bool whole)
{
	unsigned long now;
	bool due;

	spin_lock_irq(&f->lock);
	/* Once: it goes on, and what is left of a delay must not be below 0. */
	now = jiffies;
	due = f->nr_held && (whole || time_before_eq(f->due[f->first], now));
	if (due) {
		f->first = (f->first + 1) % MAX_HELD;
		f->nr_held--;
	} else if (f->nr_held) {
		schedule_delayed_work(&f->work, f->due[f->first] - now);
	}
	spin_unlock_irq(&f->lock);
	if (due)
		come(f);

	return due;
}

static void release_due(struct work_struct *work)
{
	struct kvmfd_fault *f = container_of(to_delayed_work(work), struct kvmfd_fault, work);
	unsigned int n;

	for (n = 0; n < MAX_HELD; n++)
		if (!release_one(f, false))
			return;
	/* Without a delay they can come as fast as they go: others have their turn. */
	schedule_delayed_work(&f->work, 0);
}

static void hold(struct kvmfd_fault *f)
{
	unsigned long delay = msecs_to_jiffies(READ_ONCE(f->delay));

	lockdep_assert_held(&f->lock);

	f->due[(f->first + f->nr_held) % MAX_HELD] = jiffies + delay;
	if (!f->nr_held++)
		schedule_delayed_work(&f->work, delay);
}

/* As should_fail() has it. */
static bool chosen(struct kvmfd_fault *f)
{
	u32 probability = READ_ONCE(f->probability), interval = READ_ONCE(f->interval);

	lockdep_assert_held(&f->lock);

	if (!probability || !atomic_read(&f->times))
		return false;
	if (interval > 1 && ++f->seen % interval)
		return false;
	return probability >= 100 || get_random_u32() % 100 < probability;
}

/* Does it take the event away, for now or for good? */
static bool strike(struct kvmfd_fault *f)
{
	u32 action = READ_ONCE(f->action);
	unsigned long flags;
	bool taken = false;

	spin_lock_irqsave(&f->lock, flags);
	if ((action == DROP || f->nr_held < MAX_HELD) && chosen(f)) {
		if (atomic_read(&f->times) > 0)
			atomic_dec(&f->times);
		f->struck++;
		if (action != DROP)
			hold(f);
		taken = action != DUPLICATE;
	}
	spin_unlock_irqrestore(&f->lock, flags);

	return taken;
}

/**
 * kvmfd_fault_strikes() - is an event not to come, or not yet?
 * @p: the attachment
 * @item: a doorbell that has been hit, or an irqfd whose eventfd was signalled
 *
 * In any context but an NMI.
 *
 * Return: true if the caller must not signal, or raise, anything.
 */
bool kvmfd_fault_strikes(const struct kvmfd *p, const struct kvmfd_item *item)
{
	struct kvmfd_fault *f;
	bool taken = false;

	rcu_read_lock();
	list_for_each_entry_rcu(f, &faults, link) {
		if (f->p == p && f->id == item->id) {
			taken = strike(f);
			break;
		}
	}
	rcu_read_unlock();

	return taken;
}

static int action_show(struct seq_file *m, void *unused)
{
	struct kvmfd_fault *f = m->private;

	seq_printf(m, "%s\n", actions[READ_ONCE(f->action)]);
	return 0;
}

static int action_open(struct inode *inode, struct file *file)
{
	return single_open(file, action_show, inode->i_private);
}

/* What was written, and no more than fits. */
static int text_from_user(char *text, size_t room, const char __user *from, size_t size)
{
	if (size >= room)
		return -EINVAL;
	if (copy_from_user(text, from, size))
		return -EFAULT;
	text[size] = '\0';
	return 0;
}

static ssize_t action_write(struct file *file, const char __user *from, size_t size,
			    loff_t *pos)
{
	struct kvmfd_fault *f = file_inode(file)->i_private;
	char text[16];
	int ret;

	ret = text_from_user(text, sizeof(text), from, size);
	if (ret)
		return ret;
	ret = sysfs_match_string(actions, text);
	if (ret < 0)
		return ret;

	WRITE_ONCE(f->action, ret);
	return size;
}

static const struct file_operations action_fops = {
	.owner = THIS_MODULE,
	.open = action_open,
	.read = seq_read,
	.write = action_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* 0 or -errno. */
static int make_knobs(struct kvmfd_fault *f)
{
	char name[48];

	snprintf(name, sizeof(name), "%llu:%llu", f->p->id, f->id);
	f->dir = debugfs_create_dir(name, faults_dir);
	if (IS_ERR(f->dir))
		return PTR_ERR(f->dir);

	debugfs_create_file("action", 0600, f->dir, f, &action_fops);
	debugfs_create_u32("probability", 0600, f->dir, &f->probability);
	debugfs_create_u32("interval", 0600, f->dir, &f->interval);
	debugfs_create_atomic_t("times", 0600, f->dir, &f->times);
	debugfs_create_u32("delay", 0600, f->dir, &f->delay);
	debugfs_create_u64("struck", 0400, f->dir, &f->struck);
	return 0;
}

static struct kvmfd_fault *fault_of(u64 attachment, u64 id)
{
	struct kvmfd_fault *f;

	lockdep_assert_held(&faults_lock);

	list_for_each_entry(f, &faults, link)
		if (f->p->id == attachment && f->id == id)
			return f;

	return NULL;
}

/* KVMFD_ENTRY_*, or 0 if there is no such item of an attachment that has not ended. */
static u32 kind_of(struct kvmfd *p, u64 id)
{
	struct kvmfd_item *item;
	u32 kind = 0;

	spin_lock(&p->state_lock);
	item = p->ended ? NULL : kvmfd_item_find(p, id);
	if (item)
		kind = item->kind;
	spin_unlock(&p->state_lock);

	return kind;
}

static int fault_add(struct kvmfd *p, u64 id)
{
	struct kvmfd_fault *f;
	u32 kind;
	int ret;

	lockdep_assert_held(&faults_lock);

	if (fault_of(p->id, id))
		return -EEXIST;
	if (nr_faults == MAX_FAULTS)
		return -ENOSPC;
	/* If it ends from here on, who ends it comes for the fault later. */
	kind = kind_of(p, id);
	if (!kind)
		return -ENOENT;
	f = kzalloc(sizeof(*f), GFP_KERNEL);
	if (!f)
		return -ENOMEM;

	f->p = p;
	f->id = id;
	f->kind = kind;
	f->interval = 1;
	atomic_set(&f->times, 1);
	spin_lock_init(&f->lock);
	INIT_DELAYED_WORK(&f->work, release_due);
	ret = make_knobs(f);
	if (ret) {
		kfree(f);
		return ret;
	}
	nr_faults++;
	list_add_rcu(&f->link, &faults);
	if (kind == KVMFD_ENTRY_IOEVENTFD)
		kvmfd_watch_writes();
	else
		kvmfd_watch_calls();
	return 0;
}

/* What was delayed comes now. */
static void fault_remove(struct kvmfd_fault *f)
{
	lockdep_assert_held(&faults_lock);

	debugfs_remove(f->dir);
	if (f->kind == KVMFD_ENTRY_IOEVENTFD)
		kvmfd_unwatch_writes();
	else
		kvmfd_unwatch_calls();
	nr_faults--;
	list_del_rcu(&f->link);
	synchronize_rcu();
	cancel_delayed_work_sync(&f->work);
	while (release_one(f, true))
		;
	kfree(f);
}

/* Of an attachment, or, if @p is NULL, all. */
static void remove_some(const struct kvmfd *p)
{
	struct kvmfd_fault *f, *next;

	mutex_lock(&faults_lock);
	list_for_each_entry_safe(f, next, &faults, link)
		if (!p || f->p == p)
			fault_remove(f);
	mutex_unlock(&faults_lock);
}

static int add(u64 attachment, u64 id)
{
	struct kvmfd *p = kvmfd_get(attachment);
	int ret;

	if (!p)
		return -ENOENT;

	mutex_lock(&faults_lock);
	ret = fault_add(p, id);
	mutex_unlock(&faults_lock);
	kvmfd_put(p);

	return ret;
}

static int remove(u64 attachment, u64 id)
{
	struct kvmfd_fault *f;

	mutex_lock(&faults_lock);
	f = fault_of(attachment, id);
	if (f)
		fault_remove(f);
	mutex_unlock(&faults_lock);

	return f ? 0 : -ENOENT;
}

static ssize_t inject_write(struct file *file, const char __user *from, size_t size,
			    loff_t *pos)
{
	u64 attachment, id;
	char text[48], *at, *part;
	bool remove_it;
	int ret;

	ret = text_from_user(text, sizeof(text), from, size);
	if (ret)
		return ret;
	at = strim(text);
	if (!*at) {
		remove_some(NULL);
		return size;
	}

	remove_it = *at == '!';
	at += remove_it;
	part = strsep(&at, ":");
	if (!at || kstrtou64(part, 10, &attachment) || kstrtou64(at, 10, &id))
		return -EINVAL;
	ret = remove_it ? remove(attachment, id) : add(attachment, id);
	return ret ?: size;
}

static int inject_show(struct seq_file *m, void *unused)
{
	struct kvmfd_fault *f;

	mutex_lock(&faults_lock);
	list_for_each_entry(f, &faults, link)
		seq_printf(m, "%llu:%llu\n", f->p->id, f->id);
	mutex_unlock(&faults_lock);

	return 0;
}

static int inject_open(struct inode *inode, struct file *file)
{
	return single_open(file, inject_show, NULL);
}

static const struct file_operations inject_fops = {
	.owner = THIS_MODULE,
	.open = inject_open,
	.read = seq_read,
	.write = inject_write,
	.llseek = seq_lseek,
	.release = single_release,
};

/**
 * kvmfd_faults_forget() - no more faults of an attachment
 * @p: an attachment that has ended
 */
void kvmfd_faults_forget(const struct kvmfd *p)
{
	remove_some(p);
}

/**
 * kvmfd_faults_init() - with the module
 *
 * A kernel without debugfs has no faults.
 */
void kvmfd_faults_init(void)
{
	kvmfd_dir = debugfs_create_dir("kvmfd", NULL);
	faults_dir = debugfs_create_dir("faults", kvmfd_dir);
	debugfs_create_file("inject", 0600, faults_dir, NULL, &inject_fops);
}

/**
 * kvmfd_faults_exit() - with the module; no attachment is left, and so no fault
 */
void kvmfd_faults_exit(void)
{
	debugfs_remove(kvmfd_dir);
}

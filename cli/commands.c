// SPDX-License-Identifier: Apache-2.0
//
// The table of commands. A name of several words is a command of a group; a group runs nothing.
#include <stddef.h>
#include <string.h>

#include "cli/tables.h"

#define TREES (1U << OUT_TEXT | 1U << OUT_JSON | 1U << OUT_YAML)

static const struct command commands[] = {
    {"plan", "[ROOT]", "show what would be applied, in which order, and why",
     "Reads ROOT and everything its applications name, and prints them as a tree with what each "
     "waits for. With --use-cluster it also compares with the cluster of the kubeconfig. Nothing "
     "is written.",
     "  regrow plan apps/\n"
     "  regrow plan 'https://git.example.com/platform.git//apps?ref=main'\n"
     "  regrow plan --use-cluster -v apps/\n"
     "  regrow plan --out prod.plan apps/\n"
     "  regrow plan -o dot apps/ | dot -Tsvg >order.svg\n",
     PLAN, 1, TREES | 1U << OUT_DOT, cmd_plan},
    {"bootstrap", "[ROOT]", "bring the cluster to what ROOT says, and wait until healthy",
     "Sends every object once, when what it needs is really there, and waits until all "
     "applications are healthy. Kill it at any moment: the same command continues. On a cluster "
     "that is up it applies what changed in Git and deletes what Git no longer has.",
     "  regrow bootstrap 'https://git.example.com/platform.git//apps?ref=main'\n"
     "  regrow bootstrap --timeout 10m --expect-cluster UID apps/\n"
     "  regrow bootstrap --then=argocd apps/\n"
     "  regrow bootstrap --plan prod.plan --timeout 10m\n"
     "  regrow bootstrap -o ndjson apps/ >events.ndjson\n",
     BOOT, 1, TREES | 1U << OUT_NDJSON, cmd_bootstrap},
    {"reconcile", "[ROOT]", "keep the cluster as ROOT says, until stopped",
     "Follows a bootstrap or a restore: what changes in Git is applied, what others change in the "
     "cluster is put back, as each application asks for it (syncPolicy.automated, prune, "
     "selfHeal). Objects are watched, sources looked at now and then. What cannot be read is left "
     "exactly as it is. Ends cleanly at SIGTERM or Ctrl-C.",
     "  regrow reconcile\n"
     "  regrow reconcile 'https://git.example.com/platform.git//apps?ref=main'\n"
     "  regrow reconcile --poll 30s -o ndjson apps/\n"
     "  regrow reconcile --listen 127.0.0.1:8080\n"
     "  regrow reconcile --once --timeout 10m\n"
     "  regrow reconcile --snapshot-to s3://backup/prod --key job.key\n",
     RECONCILE, 1, 1U << OUT_TEXT | 1U << OUT_NDJSON, cmd_reconcile},
    {"status", "[ROOT]", "show which applications are healthy and in sync",
     "Compares the cluster with ROOT, an application a line. Nothing is written. Exit code 10 "
     "when something is not healthy or differs. --watch goes on: objects are watched, sources "
     "looked at now and then and whenever somebody has applied something; the exit code is that "
     "of the last look.",
     "  regrow status\n"
     "  regrow status --watch\n"
     "  regrow status --watch -o ndjson --timeout 10m >changes.ndjson\n"
     "  regrow status -o json | jq '.applications[] | select(.good == false)'\n",
     STATUS, 1, TREES | 1U << OUT_NDJSON, cmd_status},
    {"why", "APP|KIND/[NAMESPACE/]NAME [ROOT]", "show what something waits for, down to its cause",
     "Follows what an application or an object waits for, link by link, to the one that fails or "
     "is under way, and says what to do. Nothing is written.",
     "  regrow why team-checkout\n"
     "  regrow why deploy/checkout/api\n",
     WHY, 2, TREES, cmd_why},
    {"diff", "[ROOT]", "show field by field what would change",
     "Asks the API server, by a dry run, what each object would become. Values of Secrets are "
     "never shown. Exit code 20 when there are differences.",
     "  regrow diff\n"
     "  regrow diff --app cert-manager apps/\n",
     DIFF, 1, TREES, cmd_diff},
    {"render", "ROOT [APP]", "print what would be applied, in order, as YAML",
     "Prints the manifests as they would be sent, each with the place it was written in. -o json "
     "makes a List that kubectl takes.",
     "  regrow render apps/ >all.yaml\n"
     "  regrow render apps/ cert-manager\n",
     RENDER, 2, TREES, cmd_render},
    {"health", "FILE|-", "say how healthy objects are, by Argo CD's rules",
     "Reads YAML or JSON, such as kubectl prints, and needs no cluster.",
     "  kubectl get deploy -A -o json | regrow health -\n"
     "  regrow health -o json objects.yaml\n"
     "  regrow health --customizations argocd-cm.yaml objects.yaml\n",
     HEALTH, 1, TREES, cmd_health},
    {"restore", "[SNAPSHOT]", "bring a cluster back from a snapshot",
     "SNAPSHOT is a number, or latest, which is the newest good one. It is proved whole, from the "
     "pin on, before anything of it is read; then the target and what will be done are shown, and "
     "the target's name must be typed, or --yes given. Keys and credentials come first, then every "
     "application as in a bootstrap, from the manifests of the snapshot: neither Git nor a "
     "registry "
     "is asked, nor helm or kustomize needed. A cluster that others use is refused. Kill it at any "
     "moment: the same command continues. --push-git brings Git back once the cluster is up: all "
     "refs, the same commits, nothing overwritten.",
     "  regrow restore --repo s3://backup/prod -i alice.key --context new\n"
     "  regrow restore --at '2026-11-23 02:00' --dry-run\n"
     "  regrow restore --namespace shop --map storageClass=gp2=gp3\n"
     "  regrow restore -i key.txt --git-only \\\n"
     "    --push-git https://git.example.com=https://git2.example.com\n"
     "  regrow restore 117 --yes -o json --timeout 30m\n"
     "  regrow restore --yes --report restore.html\n",
     RESTORE, 1, TREES | 1U << OUT_NDJSON, cmd_restore},
    {"drill", "[SNAPSHOT]", "prove that a snapshot brings the cluster back",
     "Restores it into a control plane that is started for it and thrown away, or into the empty "
     "cluster of --kubeconfig; then every object is compared with the snapshot. What is missing, "
     "stays encrypted, is refused or comes back otherwise is a finding (exit 10). In a control "
     "plane of its own no container runs: what only webhooks and operators show is named and "
     "passed over. With --judge-key the verdict is noted, with the report sealed.",
     "  regrow drill --repo s3://backup/prod -i alice.key\n"
     "  regrow drill latest --judge-key judge.key --report drill.json\n"
     "  regrow drill --live-kubeconfig ~/.kube/config -o json\n"
     "  regrow drill --history\n",
     DRILL, 1, TREES | 1U << OUT_NDJSON, cmd_drill},
    {"sync", "APP", "ask the controller to bring an application to what Git says, now",
     "Asks through the Application object, as Argo CD's tools do (.operation), or where there is "
     "none through the ConfigMap control in regrow-system. On a terminal, or with --wait, it "
     "follows what comes of it. Sync windows of its project count. --dry-run tells what would "
     "change and writes nothing; neither it nor --resource goes with another --revision. Exit code "
     "10 when it failed.",
     "  regrow sync shop\n"
     "  regrow sync shop --revision v1.2.3 --prune --wait --timeout 5m\n"
     "  regrow sync argocd/shop --resource apps:Deployment:web --dry-run\n"
     "  regrow sync shop --approve\n"
     "  regrow sync shop --terminate\n",
     SYNC, 1, TREES, cmd_sync},
    {"refresh", "APP", "ask the controller to read an application's sources again, now",
     "Compares it with what its sources say at this moment, and not only at the next poll. --hard "
     "renders again, whatever is cached.",
     "  regrow refresh shop\n"
     "  regrow refresh shop --hard --wait\n",
     REFRESH, 1, TREES, cmd_refresh},
    {"rollback", "APP [ID]", "ask the controller to bring back what was deployed before",
     "ID is that of history; without one it is what was there before the last. Refused while "
     "automated sync is on, which would bring the new one back at once: --suspend holds that.",
     "  regrow rollback shop\n"
     "  regrow rollback shop 12 --suspend --wait\n",
     ROLLBACK, 2, TREES, cmd_rollback},
    {"history", "APP", "show what was deployed of an application, when and by whom", "",
     "  regrow history shop\n"
     "  regrow history shop -o json | jq -r '.history[-1].revision'\n",
     HISTORY, 1, TREES, cmd_history},
    {"suspend", "APP", "hold automated sync of an application",
     "The controller goes on to look at it, and changes nothing of its own accord until resume. "
     "What a person asks for is done.",
     "  regrow suspend shop\n", SUSPEND, 1, TREES, cmd_suspend},
    {"resume", "APP", "let automated sync of an application go on", "", "  regrow resume shop\n",
     RESUME, 1, TREES, cmd_resume},
    {"cluster", "COMMAND", "the clusters that a hub's controller keeps",
     "Registered as Argo CD registers them, by Secrets in namespace argocd of the hub.",
     "  regrow cluster list\n"
     "  regrow cluster add eu-1 --from-context admin@eu-1\n",
     GROUP, 0, 1U << OUT_TEXT, NULL},
    {"cluster add", "NAME", "register a cluster at the hub",
     "Writes the Secret by which the hub's controller knows it, with the credentials of a context "
     "of a kubeconfig; what runs a program to log in, or verifies nobody, is refused. The cluster "
     "is tried first. Where Argo CD is, it sees it too.",
     "  regrow cluster add eu-1 --from-context admin@eu-1\n"
     "  regrow cluster add eu-1 --from-kubeconfig eu-1.yaml --context hub\n",
     CLUSTER_ADD, 1, TREES, cmd_cluster_add},
    {"cluster list", "", "list the clusters of a hub",
     "With what the controller says of each: its state, how many applications go there, and which "
     "replica keeps it.",
     "  regrow cluster list\n"
     "  regrow cluster list -o json | jq -r '.clusters[].name'\n",
     CLUSTER_LIST, 0, TREES, cmd_cluster_list},
    {"cluster check", "NAME", "try a registered cluster",
     "Connects with the credentials of its Secret, from here, and asks the cluster whether they "
     "suffice. Exit code 10 when they do not, 7 when it does not answer.",
     "  regrow cluster check eu-1\n", CLUSTER_CHECK, 1, TREES, cmd_cluster_check},
    {"cluster remove", "NAME", "register a cluster no longer",
     "Deletes its Secret at the hub, and nothing else: what is on the cluster stays there, and is "
     "kept by nobody.",
     "  regrow cluster remove eu-1 --yes\n", CLUSTER_REMOVE, 1, TREES, cmd_cluster_remove},
    {"doctor", "[ROOT]", "look whether all is there that the other commands need",
     "Tools, cache, cluster and its clock, every source of ROOT with the credentials that are "
     "given, whether the plan is permitted, and with --repo the repository of snapshots: its pin, "
     "what opens it, the newest good one, and whether the store still keeps what it promised. "
     "Nothing is written but probes to the store, which are taken away again. Exit code 10 when "
     "something is in the way.",
     "  regrow doctor\n"
     "  regrow doctor 'https://git.example.com/platform.git//apps?ref=main'\n"
     "  regrow doctor --repo s3://backup/prod --trust PIN -i alice.key apps/\n"
     "  regrow doctor -o json | jq -r '.checks[] | select(.state == \"fail\")'\n",
     DOCTOR, 1, TREES, cmd_doctor},
    {"version", "", "print the version", "", "  regrow version -o json\n", VERSION, 0, TREES,
     cmd_version},
    {"snapshot", "COMMAND", "save desired state with all it needs, and keep it",
     "A repository of snapshots is a folder, an S3 bucket or an OCI registry. What is in it is "
     "sealed: a job writes it without being able to read it.",
     "  regrow snapshot init --repo /srv/snapshots --out admin.age --single\n"
     "  regrow snapshot list --repo s3://backup/prod\n",
     GROUP, 0, 1U << OUT_TEXT, NULL},
    {"snapshot init", "", "make a repository for snapshots",
     "Makes an empty repository in the folder, bucket or registry that --repo names, with a way "
     "to open it for the passphrase and for each --recipient: two at least, since what nobody can "
     "open is lost. The key of its admin goes to the file --out, sealed. The last line is the pin: "
     "note it where the repository cannot be reached from. Kill it at any moment: the same command "
     "continues.",
     "  regrow snapshot init --repo /srv/backup --out admin.age --recipient AGE\n"
     "  regrow snapshot init --repo s3://backup/prod --out admin.age --single\n",
     SNAP_INIT, 0, TREES, cmd_snapshot_init},
    {"snapshot create", "[ROOT]", "save what ROOT says, with everything it is made of",
     "Reads ROOT as bootstrap does, and keeps all of it: every Git repository with all refs and "
     "commits, charts and artifacts as they were fetched, rendered objects, their order. With "
     "--use-cluster also what only the cluster has: keys, credentials, certificates, images in "
     "use; nothing is written there. The job's credential suffices, with which nothing can be read "
     "back. What cannot be read makes the snapshot suspect (exit 10), never smaller. Kill it at "
     "any moment: the next run continues.",
     "  regrow snapshot create --repo s3://backup/prod --key job.key \\\n"
     "    --use-cluster\n"
     "  regrow snapshot create --repo /srv/backup --key job.key apps/\n",
     SNAP_CREATE, 1, TREES | 1U << OUT_NDJSON, cmd_snapshot_create},
    {"snapshot list", "", "list the snapshots of a repository",
     "Needs the pin, and no key that opens anything. Ages are by the clock of the store. The last "
     "line says what would be restored, and how old it is.",
     "  regrow snapshot list --repo /srv/snapshots --trust PIN\n"
     "  regrow snapshot list -o json | jq '.chains[].snapshots[0]'\n",
     SNAP_LIST, 0, TREES, cmd_snapshot_list},
    {"snapshot show", "[SNAPSHOT]", "show what a snapshot holds",
     "SNAPSHOT is a number, or latest. With what opens the repository: applications as a tree, "
     "sources, Git repositories, Secrets by name. Without: what is signed, and which files it "
     "needs.",
     "  regrow snapshot show --passphrase-file pass\n"
     "  regrow snapshot show 117 -i key.txt -o json | jq '.applications[].name'\n",
     SNAP_SHOW, 1, TREES, cmd_snapshot_show},
    {"snapshot verify", "[SNAPSHOT]", "prove that snapshots are whole",
     "Reads every byte of all snapshots, or of one: signatures, names, sizes, and with what opens "
     "the repository also contents, references and Git histories. With the key of a judge the "
     "newest good one is then noted as verified. Exit code 9 when something is damaged.",
     "  regrow snapshot verify --passphrase-file pass\n"
     "  regrow snapshot verify latest -i key.txt --key judge.key\n"
     "  regrow snapshot verify --quick --trust PIN\n",
     SNAP_VERIFY, 1, TREES, cmd_snapshot_verify},
    {"snapshot export", "SNAPSHOT FILE", "write a snapshot as one file that needs no regrow",
     "SNAPSHOT is a number, or latest; FILE ends in .tar or .tar.zst. In it: Git repositories as "
     "bundles, charts and artifacts, manifests in the order in which they can be applied, Secrets "
     "sealed to each --recipient, checksums, RESTORE.md, and a script that brings it all back with "
     "git, kubectl and age alone. With --key the checksums are signed. Needs what opens the "
     "repository.",
     "  regrow snapshot export latest x.tar.zst -i key.txt --recipient age1...\n"
     "  regrow snapshot export 117 prod.tar -i key.txt --no-secrets\n",
     SNAP_EXPORT, 2, TREES, cmd_snapshot_export},
    {"snapshot import", "FILE", "take an export into a repository",
     "FILE is what export wrote. Checksums, signature and every Git history in it are proved, then "
     "the same snapshot is written again into the chain of --key, where the next create goes on "
     "from it. --identity opens its Secrets; the repository it comes from may be gone. What is "
     "not signed, or of a pin that nobody names, is taken as suspect (exit 10) until a judge has "
     "looked. What is there already is passed over. Kill it at any moment: the same command "
     "begins again.",
     "  regrow snapshot import prod.tar.zst --key job.key -i key.txt \\\n"
     "    --from-trust PIN\n"
     "  regrow snapshot import prod.tar.zst --key job.key -i key.txt --dry-run\n",
     SNAP_IMPORT, 1, TREES, cmd_snapshot_import},
    {"snapshot diff", "SNAPSHOT [SNAPSHOT]", "show what lies between two snapshots",
     "From the first to the second, or to the latest good one: refs that moved, with the commits "
     "between; charts and artifacts; objects added, removed, and changed field by field. Of a "
     "Secret only that it changed. Needs what opens the repository. Exit code 20 when they differ.",
     "  regrow snapshot diff 117 118 -i my-age-key.txt\n"
     "  regrow snapshot diff 117 -o json | jq '.applications[].name'\n",
     SNAP_DIFF, 2, TREES, cmd_snapshot_diff},
    {"snapshot copy", "[SNAPSHOT]...", "copy snapshots into another repository",
     "Opens each (default: all that are live), proves it whole, and seals it again for the other "
     "repository, where a job of that one signs it. What is there already is passed over: run it "
     "again to go on. A copy says what its writer said; what a judge called bad is suspect there. "
     "A mirror of the same repository is made by any program that copies files.",
     "  regrow snapshot copy -i my.key --to s3://other/prod --to-key other.key\n"
     "  regrow snapshot copy 118 -i my.key --to /mnt/usb --to-key usb.key\n",
     SNAP_COPY, 1000, TREES, cmd_snapshot_copy},
    {"snapshot judge", "SNAPSHOT good|bad [WHY]", "say that a snapshot is good, or bad",
     "A suspect one becomes good, or a good one bad: by the key of a judge, which no job has. What "
     "is said last counts.",
     "  regrow snapshot judge 116 good 'cut down on purpose' --key judge.key\n", SNAP_JUDGE, 3,
     TREES, cmd_snapshot_judge},
    {"snapshot forget", "[SEQ]...", "say which snapshots need not be kept",
     "By number, or all that no rule keeps; ages are by the clock of the store. The newest, the "
     "newest good, verified and drilled ones and --min-good others always stay. Nothing is "
     "deleted: that is prune's, after the grace, and until then --undo brings it back. --key is a "
     "pruner's.",
     "  regrow snapshot forget --keep-daily 14 --keep-weekly 8 --dry-run\n"
     "  regrow snapshot forget --keep-daily 14 --keep-weekly 8 --key pruner.key\n"
     "  regrow snapshot forget --undo 103 --key pruner.key\n",
     SNAP_FORGET, 1000, TREES, cmd_snapshot_forget},
    {"snapshot prune", "", "delete what was forgotten",
     "Deletes what nothing that is kept needs, when it was forgotten longer than --grace ago, and "
     "what interrupted runs left. Needs the key of a pruner and none that reads. Run it again if "
     "it was interrupted.",
     "  regrow snapshot prune --key pruner.key\n"
     "  regrow snapshot prune --dry-run --trust PIN\n",
     SNAP_PRUNE, 0, TREES, cmd_snapshot_prune},
    {"snapshot key", "COMMAND", "who may open a repository, and who may sign in it",
     "A slot opens the repository: by a passphrase, or to an age key. A key signs: a writer "
     "makes snapshots and reads none, a pruner forgets, a judge says what is good, an admin "
     "changes all this.",
     "  regrow snapshot key list --repo /srv/snapshots --trust PIN\n"
     "  regrow snapshot key add --key admin.age \\\n"
     "    --role writer --chain prod --out job.key\n",
     GROUP, 0, 1U << OUT_TEXT, NULL},
    {"snapshot key init", "", "make a key to sign with, for an admin to make trusted",
     "Whoever shall hold a key makes it where it will stay, and hands over the public half that "
     "is printed. It counts for nothing until an admin adds it. With --recipient the file is "
     "sealed.",
     "  regrow snapshot key init --trust PIN --role pruner --out pruner.key\n", KEY_INIT, 0, TREES,
     cmd_snapshot_key_init},
    {"snapshot key add", "", "add a way to open it, or a key that signs",
     "Without --role: a slot, for each --recipient or for a new passphrase; it takes what opens "
     "the repository now, and is tried before it is stored. With --role: a key. That of a writer "
     "can write the snapshots of one chain, and can read nothing. --key is the admin's.",
     "  regrow snapshot key add --key admin.age --recipient age1...\n"
     "  regrow snapshot key add --key admin.age \\\n"
     "    --role writer --chain prod --out job.key\n"
     "  regrow snapshot key add --key admin.age --role pruner --public KEY\n",
     KEY_ADD, 0, TREES, cmd_snapshot_key_add},
    {"snapshot key remove", "SLOT", "remove a way to open it",
     "SLOT is its label, its recipient, or the beginning of its file. The last way to open "
     "snapshots is never removed. Who opened the repository with it before keeps what it read: "
     "see key rotate.",
     "  regrow snapshot key remove --key admin.age 3f9c2e1ab04d\n", KEY_REMOVE, 1, TREES,
     cmd_snapshot_key_remove},
    {"snapshot key list", "", "list slots and keys", "Needs the pin, and no key.",
     "  regrow snapshot key list --repo /srv/snapshots --trust PIN\n", KEY_LIST, 0, TREES,
     cmd_snapshot_key_list},
    {"snapshot key trust", "", "show the pin, and check it",
     "Compares the pin of the repository with --trust, with the one in a key, or with what a "
     "passphrase opens; exit code 9 when it is another. With none of them it only shows it.",
     "  regrow snapshot key trust --repo /srv/snapshots --trust @pin\n"
     "  regrow snapshot key trust --repo s3://backup/prod --key job.key\n",
     KEY_TRUST, 0, TREES, cmd_snapshot_key_trust},
    {"snapshot key rotate", "", "seal what comes to a new key",
     "Begins an epoch: a new identity, opened by the age keys that open the present one, or by "
     "each --recipient, and by the passphrase. Writers need new credentials, and write all anew. "
     "Snapshots that are there stay as they are.",
     "  regrow snapshot key rotate --key admin.age --passphrase-file pass\n", KEY_ROTATE, 0, TREES,
     cmd_snapshot_key_rotate},
    {"snapshot key revoke", "KEY", "believe a key no longer",
     "KEY is its label, or the beginning of its id where several have that label. What it signed "
     "stays believed up to --last-trusted, without that up to now; chains that --last-trusted "
     "does not name are not believed at all. That is never taken back.",
     "  regrow snapshot key revoke --key admin.age ci-job\n"
     "  regrow snapshot key revoke --key admin.age \\\n"
     "    --last-trusted prod:117 ci-job\n",
     KEY_REVOKE, 1, TREES, cmd_snapshot_key_revoke},
    {"snapshot key quorum", "N", "say how many admins a change takes",
     "From then on every change to keys and slots wants the signatures of N admins: their keys "
     "beside --key as --also-key, or one after the other: --propose leaves the change in a file, "
     "which key sign signs. So does this change itself. Snapshots are not concerned.",
     "  regrow snapshot key quorum 2 --key ann.admin --also-key ben.admin\n"
     "  regrow snapshot key quorum 2 --key ann.admin --propose two.change\n",
     KEY_QUORUM, 1, TREES, cmd_snapshot_key_quorum},
    {"snapshot key sign", "FILE", "sign a change that another admin proposes",
     "Shows what the change in FILE would do and signs it; with the last signature it is made. "
     "--show only shows it, and takes no key. A change that others have overtaken is refused.",
     "  regrow snapshot key sign --show --trust PIN two.change\n"
     "  regrow snapshot key sign --key ben.admin two.change\n",
     KEY_SIGN, 1, TREES, cmd_snapshot_key_sign},
    {"completion", "bash|zsh|fish", "print a completion script",
     "make install puts them where the shells look.",
     "  regrow completion bash >/etc/bash_completion.d/regrow\n", OTHER, 1, 1U << OUT_TEXT,
     cmd_completion},
    {"man", "[COMMAND]...", "print a man page", "", "  regrow man snapshot list | man -l -\n",
     OTHER, 3, 1U << OUT_TEXT, cmd_man},
};

const struct command *commands_all(size_t *n)
{
    *n = ARRAY_LEN(commands);
    return commands;
}

const struct command *command_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

// "a b" is in "a", "a b c" is not.
bool command_is_in(const struct command *cmd, const char *group)
{
    size_t n = strlen(group);
    if (!n)
        return !strchr(cmd->name, ' ');
    return !strncmp(cmd->name, group, n) && cmd->name[n] == ' ' && !strchr(cmd->name + n + 1, ' ');
}

const struct command *command_of(int n, char **words, int *used)
{
    struct buf name CLEANUP(buf_clear) = {0};
    const struct command *found = NULL;
    *used = 0;
    do {
        buf_printf(&name, "%s%s", *used ? " " : "", words[*used]);
        found = command_find(name.p);
        ++*used;
    } while (found && !found->run && *used < n && words[*used][0] != '-');
    return found;
}

static const char *const output_names[] = {"text", "json", "ndjson", "yaml", "dot"};

bool output_of(const char *name, enum output *out)
{
    for (size_t i = 0; i < ARRAY_LEN(output_names); i++) {
        if (!strcmp(output_names[i], name)) {
            *out = (enum output)i;
            return true;
        }
    }
    return false;
}

char *outputs_text(const struct command *cmd, char sep)
{
    struct buf b = {0};
    for (size_t i = 0; i < ARRAY_LEN(output_names); i++)
        if (cmd->outputs >> i & 1)
            buf_printf(&b, "%.*s%s", b.len ? 1 : 0, &sep, output_names[i]);
    return buf_take(&b);
}

// How many single-letter changes lie between two words (Levenshtein), by one row of the table.
size_t word_distance(const char *a, size_t n, const char *b)
{
    size_t row[64];
    size_t m = strlen(b);
    if (n >= ARRAY_LEN(row) || m >= ARRAY_LEN(row))
        return ARRAY_LEN(row);
    for (size_t k = 0; k <= m; k++)
        row[k] = k;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t k = 1; k <= m; k++) {
            size_t change = diagonal + (a[i - 1] != b[k - 1]);
            diagonal = row[k];
            size_t shift = (row[k] < row[k - 1] ? row[k] : row[k - 1]) + 1;
            row[k] = change < shift ? change : shift;
        }
    }
    return row[m];
}

const char *command_near(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(commands); i++)
        if (word_distance(name, strlen(name), commands[i].name) <= 2)
            return commands[i].name;
    return NULL;
}

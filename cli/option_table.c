// SPDX-License-Identifier: Apache-2.0
//
// The table of options: which commands have it, where its value goes, what it means.
#include <stddef.h>
#include <string.h>

#include "cli/tables.h"

#define AT(field) offsetof(struct options, field)

static const struct option options[] = {
    {"output", GROUP_GENERAL, 'o', OPT_OUTPUT, AT(output), OUTPUT, "FORMAT",
     "format of the answer"},
    {"repo", GROUP_REPO, 0, OPT_TEXT, AT(snap.repo), LOG_READS, "URL",
     "the repository: folder, s3://BUCKET[/PREFIX] or oci://HOST/NAME"},
    {"trust", GROUP_REPO, 0, OPT_TEXT, AT(snap.trust), SNAP_ONE_CHAIN | KEYS | BOOT | RECONCILE,
     "PIN", "what init printed last, or @FILE with it: which repository it must be"},
    {"chain", GROUP_REPO, 0, OPT_TEXT, AT(snap.chain), SNAP_ONE_CHAIN | KEYS | BOOT | RECONCILE,
     "NAME", "whose snapshots (default: the key's, or the only one there is)"},
    {"key", GROUP_REPO, 0, OPT_TEXT, AT(snap.key), SNAP_ONE_CHAIN | KEYS | RECONCILE, "FILE",
     "credential of a job, a pruner, a judge or an admin; env:NAME for one in the environment"},
    {"identity", GROUP_REPO, 'i', OPT_LIST, AT(snap.identities), SNAP_ONE_CHAIN | KEYS, "FILE",
     "age identity that opens the repository, also one sealed with age -p; repeatable"},
    {"identity-passphrase-file", GROUP_REPO, 0, OPT_TEXT, AT(snap.identity_passphrase_file),
     SNAP_ONE_CHAIN | KEYS, "FILE",
     "passphrase of a sealed identity (else $REGROW_IDENTITY_PASSPHRASE, or asked for)"},
    {"passphrase-file", GROUP_REPO, 0, OPT_TEXT, AT(snap.passphrase_file), SNAPSHOTS, "FILE",
     "passphrase that opens the repository (else $REGROW_PASSPHRASE, or asked for)"},
    {"max-work-factor", GROUP_REPO, 0, OPT_INT, AT(snap.max_work_factor), SNAP_ONE_CHAIN | KEYS,
     "N", "scrypt work a passphrase's slot may cost, as a power of two (default 20, at most 22)"},
    {"expect-last", GROUP_REPO, 0, OPT_TEXT, AT(snap.expect_last), SNAP_ONE_CHAIN | KEYS,
     "SEQ:HASH", "refuse a repository that does not hold this entry any more"},
    {"s3-endpoint", GROUP_REPO, 0, OPT_TEXT, AT(snap.s3_endpoint), STORES, "URL",
     "of an S3 server that is not AWS; https://{bucket}.HOST puts the bucket into the host's name"},
    {"s3-region", GROUP_REPO, 0, OPT_TEXT, AT(snap.s3_region), STORES, "NAME", "its region"},
    {"s3-path-style", GROUP_REPO, 0, OPT_FLAG, AT(snap.s3_path_style), STORES, NULL,
     "the bucket goes into the path, not into the host's name"},
    {"store-credentials", GROUP_REPO, 0, OPT_TEXT, AT(snap.store_credentials), STORES, "FILE",
     "credentials of the store (default: where its own tools look)"},
    {"recipient", GROUP_OWN, 0, OPT_LIST, AT(snap.recipients),
     SNAP_INIT | KEY_ADD | KEY_ROTATE | KEY_INIT | SNAP_EXPORT, "AGE",
     "age1... key that shall open it; repeatable"},
    {"single", GROUP_OWN, 0, OPT_FLAG, AT(snap.single), SNAP_INIT | KEY_ROTATE, NULL,
     "be content with one way to open it"},
    {"among-others", GROUP_OWN, 0, OPT_FLAG, AT(snap.among_others), SNAP_INIT, NULL,
     "make it although there are other files in that place"},
    {"role", GROUP_OWN, 0, OPT_TEXT, AT(snap.role), KEY_ADD | KEY_INIT, "writer|pruner|judge|admin",
     "what the key may sign"},
    {"label", GROUP_OWN, 0, OPT_TEXT, AT(snap.label), KEY_ADD, "TEXT",
     "what it is called in key list"},
    {"public", GROUP_OWN, 0, OPT_TEXT, AT(snap.public), KEY_ADD, "KEY",
     "public half, as key init printed it, where its holder made it"},
    {"out", GROUP_OWN, 0, OPT_TEXT, AT(snap.out), SNAP_INIT | KEY_ADD | KEY_INIT, "FILE",
     "where the new key goes, mode 0600; never replaced"},
    {"out", GROUP_OWN, 0, OPT_TEXT, AT(plan_out), PLAN, "FILE",
     "write the plan to FILE, for bootstrap --plan; reads the cluster, as --use-cluster"},
    {"plan", GROUP_OWN, 0, OPT_TEXT, AT(plan_file), BOOT, "FILE",
     "do what plan --out wrote to FILE, exactly that, or refuse; in place of ROOT"},
    {"new-passphrase-file", GROUP_OWN, 0, OPT_TEXT, AT(snap.new_passphrase_file),
     KEY_ADD | KEY_ROTATE, "FILE", "passphrase that shall open it (else $REGROW_NEW_PASSPHRASE)"},
    {"also-key", GROUP_OWN, 0, OPT_LIST, AT(snap.also_keys), KEY_CHANGES | KEY_SIGN, "FILE",
     "key of another admin, where a change takes several; repeatable"},
    {"propose", GROUP_OWN, 0, OPT_TEXT, AT(snap.propose), KEY_CHANGES, "FILE",
     "leave a change that takes more admins in FILE, for key sign"},
    {"show", GROUP_OWN, 0, OPT_FLAG, AT(snap.dry_run), KEY_SIGN, NULL,
     "only show what the change would do; takes no key"},
    {"last-trusted", GROUP_OWN, 0, OPT_LIST, AT(snap.last_trusted), KEY_REVOKE, "CHAIN:SEQ",
     "last entry that is still believed; repeatable"},
    {"again", GROUP_OWN, 0, OPT_FLAG, AT(snap.again), KEY_ROTATE, NULL,
     "also when nothing was written since the last time"},
    {"full", GROUP_OWN, 0, OPT_FLAG, AT(snap.full), SNAP_CREATE, NULL,
     "write everything anew, standing on nothing that is there"},
    {"if-changed", GROUP_OWN, 0, OPT_FLAG, AT(snap.if_changed), SNAP_CREATE, NULL,
     "write nothing when the newest snapshot is good and says the same"},
    {"adopt-chain", GROUP_OWN, 0, OPT_FLAG, AT(snap.adopt_chain), SNAP_CREATE | RECONCILE, NULL,
     "go on with the snapshots of another cluster, whose place this one has taken"},
    {"no-secrets", GROUP_OWN, 0, OPT_FLAG, AT(snap.no_secrets),
     SNAP_CREATE | SNAP_EXPORT | RECONCILE, NULL,
     "leave Secrets out: restoring will need them from elsewhere"},
    {"allow-empty", GROUP_OWN, 0, OPT_FLAG, AT(snap.allow_empty), SNAP_CREATE, NULL,
     "a first snapshot without any object is good"},
    {"metrics", GROUP_OWN, 0, OPT_TEXT, AT(snap.metrics), SNAP_CREATE | DRILL, "FILE",
     "tell Prometheus how the run ended, in a file for the node exporter (*.prom)"},
    {"push-metrics", GROUP_OWN, 0, OPT_TEXT, AT(snap.push_metrics), SNAP_CREATE | DRILL, "URL",
     "the same to a Pushgateway"},
    {"replace", GROUP_OWN, 0, OPT_FLAG, AT(snap.replace), SNAP_EXPORT, NULL,
     "replace FILE when it is there"},
    {"from-trust", GROUP_OWN, 0, OPT_TEXT, AT(snap.from_trust), SNAP_IMPORT, "PIN",
     "pin of the repository the export must be of, or @FILE with it"},
    {"on-top", GROUP_OWN, 0, OPT_FLAG, AT(snap.on_top), SNAP_IMPORT, NULL,
     "also on other snapshots of the chain: a good one is then what latest means"},
    {"least", GROUP_OWN, 0, OPT_LIST, AT(snap.least), SNAP_CREATE | RECONCILE, "WHAT=PERCENT",
     "below so much of the last good one it is suspect: objects, apps, refs (80), secrets (90)"},
    {"keep-last", GROUP_OWN, 0, OPT_INT, AT(snap.keep_last), SNAP_FORGET, "N",
     "keep the newest good ones"},
    {"keep-hourly", GROUP_OWN, 0, OPT_INT, AT(snap.keep_hourly), SNAP_FORGET, "N",
     "one an hour, of so many hours"},
    {"keep-daily", GROUP_OWN, 0, OPT_INT, AT(snap.keep_daily), SNAP_FORGET, "N", "one a day"},
    {"keep-weekly", GROUP_OWN, 0, OPT_INT, AT(snap.keep_weekly), SNAP_FORGET, "N", "one a week"},
    {"keep-monthly", GROUP_OWN, 0, OPT_INT, AT(snap.keep_monthly), SNAP_FORGET, "N", "one a month"},
    {"keep-yearly", GROUP_OWN, 0, OPT_INT, AT(snap.keep_yearly), SNAP_FORGET, "N", "one a year"},
    {"keep-within", GROUP_OWN, 0, OPT_TIME_OR_0, AT(snap.keep_within_ms), SNAP_FORGET, "TIME",
     "all younger than (default 7d)"},
    {"keep-suspect", GROUP_OWN, 0, OPT_TIME_OR_0, AT(snap.keep_suspect_ms), SNAP_FORGET, "TIME",
     "suspect ones younger than (default 30d)"},
    {"min-good", GROUP_OWN, 0, OPT_INT, AT(snap.min_good), SNAP_FORGET, "N",
     "good ones that stay whatever the rules say (default 10)"},
    {"undo", GROUP_OWN, 0, OPT_FLAG, AT(snap.undo), SNAP_FORGET, NULL,
     "bring back what was forgotten and is not deleted yet"},
    {"write-off", GROUP_OWN, 0, OPT_LIST, AT(snap.write_off), SNAP_FORGET, "SEQ",
     "give up an entry whose file, or index, is lost for good; repeatable"},
    {"grace", GROUP_OWN, 0, OPT_TIME_OR_0, AT(snap.grace_ms), SNAP_PRUNE, "TIME",
     "what was forgotten so long ago is deleted (default 72h; in a registry no less)"},
    {"exclusive", GROUP_OWN, 0, OPT_FLAG, AT(snap.exclusive), SNAP_PRUNE, NULL,
     "state that no snapshot is being written (a registry cannot tell)"},
    {"retain", GROUP_OWN, 0, OPT_TIME, AT(snap.retain_ms),
     SNAP_CREATE | SNAP_PRUNE | SNAP_COPY | RECONCILE, "TIME",
     "S3 with object lock: nobody deletes what is written, or stays, before so long from now"},
    {"remove-untrusted", GROUP_OWN, 0, OPT_LIST, AT(snap.remove_untrusted), SNAP_PRUNE, "SEQ",
     "delete a file of the log that no key of the repository signed; repeatable"},
    {"dry-run", GROUP_OWN, 0, OPT_FLAG, AT(snap.dry_run),
     SNAP_FORGET | SNAP_PRUNE | SNAP_IMPORT | RESTORE, NULL,
     "only say what would be done; forget and prune take no key for it"},
    {"dry-run", GROUP_OWN, 0, OPT_FLAG, AT(snap.dry_run), SYNC, NULL,
     "have the API server try it, and change nothing"},
    {"at", GROUP_OWN, 0, OPT_TEXT, AT(restore.at), RESTORE | DRILL, "TIME",
     "the newest good snapshot of that time or before: 2026-11-23, \"2026-11-23 02:00\" (UTC)"},
    {"yes", GROUP_OWN, 'y', OPT_FLAG, AT(restore.yes), RESTORE | CLUSTER_REMOVE, NULL,
     "go on without asking for the target's name"},
    {"yes", GROUP_OWN, 'y', OPT_FLAG, AT(restore.yes), BOOT, NULL,
     "never ask; bootstrap never does, so that this changes nothing"},
    {"adopt", GROUP_OWN, 0, OPT_FLAG, AT(restore.adopt), RESTORE, NULL,
     "restore into a cluster that others use, or that was grown from another root"},
    {"rerender", GROUP_OWN, 0, OPT_FLAG, AT(restore.rerender), RESTORE, NULL,
     "render again for the target's Kubernetes, from the sources in the snapshot; takes helm and "
     "kustomize"},
    {"cluster", GROUP_OWN, 0, OPT_PICK, AT(restore.clusters), RESTORE, "NAME[=KUBECONFIG]",
     "of a hub's snapshot what goes to this cluster; several at once each with its kubeconfig"},
    {"parallel", GROUP_OWN, 0, OPT_INT, AT(restore.parallel), RESTORE, "N",
     "clusters at once (default 4)"},
    {"map", GROUP_OWN, 0, OPT_LIST, AT(restore.maps), RESTORE, "KIND=OLD=NEW",
     "restore with another name: of a host, a storageClass, a registry or a cluster; repeatable"},
    {"allow-suspect", GROUP_OWN, 0, OPT_FLAG, AT(restore.allow_suspect), RESTORE | DRILL, NULL,
     "restore the snapshot that is named although it is suspect, or judged bad"},
    {"report", GROUP_OWN, 0, OPT_TEXT, AT(restore.report), RESTORE | DRILL, "FILE",
     "write a report of it, whatever the end: .html with a picture of the time line, .json, or "
     ".svg for the picture alone; drill with a judge's key: FILE.signed beside it"},
    {"control-plane", GROUP_OWN, 0, OPT_TEXT, AT(drill.control_plane), DRILL, "FILE",
     "program that makes the throw-away cluster (default: controlplane, on the PATH, beside regrow "
     "or in the cache)"},
    {"live-kubeconfig", GROUP_OWN, 0, OPT_TEXT, AT(drill.live_kubeconfig), DRILL, "FILE",
     "compare with this cluster too; it is only read"},
    {"judge-key", GROUP_OWN, 0, OPT_TEXT, AT(drill.judge_key), DRILL, "FILE",
     "key of a judge: the verdict goes into the log, with the report sealed"},
    {"html", GROUP_OWN, 0, OPT_TEXT, AT(drill.html), DRILL, "FILE", "write it as HTML"},
    {"history", GROUP_OWN, 0, OPT_FLAG, AT(drill.history), DRILL, NULL,
     "show earlier drills and their trend; nothing is drilled"},
    {"push-git", GROUP_OWN, 0, OPT_LIST, AT(restore.push_git), RESTORE, "[OLD=]URL",
     "push the snapshot's Git repositories there, those whose URL begins with OLD; repeatable"},
    {"git-only", GROUP_OWN, 0, OPT_FLAG, AT(restore.git_only), RESTORE, NULL,
     "only --push-git: no cluster is asked or changed"},
    {"wait-git", GROUP_OWN, 0, OPT_TIME, AT(restore.wait_git_ms), RESTORE, "TIME",
     "how long to wait for a Git host that does not answer (default 2m, with --git-only 0)"},
    {"quick", GROUP_OWN, 0, OPT_FLAG, AT(snap.quick), SNAP_VERIFY, NULL,
     "look only whether every file is there, and read none"},
    {"secrets", GROUP_OWN, 0, OPT_FLAG, AT(snap.secrets), SNAP_SHOW, NULL,
     "name every Secret in it: what to change after a leak"},
    {"to", GROUP_OWN, 0, OPT_TEXT, AT(to.repo), SNAP_COPY, "URL", "the repository to copy into"},
    {"to-key", GROUP_OWN, 0, OPT_TEXT, AT(to.key), SNAP_COPY, "FILE",
     "credential of a job there; its chain takes the copies"},
    {"to-s3-endpoint", GROUP_OWN, 0, OPT_TEXT, AT(to.s3_endpoint), SNAP_COPY, "URL",
     "of its S3 server, if that is not AWS"},
    {"to-s3-region", GROUP_OWN, 0, OPT_TEXT, AT(to.s3_region), SNAP_COPY, "NAME", "its region"},
    {"to-s3-path-style", GROUP_OWN, 0, OPT_FLAG, AT(to.s3_path_style), SNAP_COPY, NULL,
     "the bucket goes into the path there"},
    {"to-store-credentials", GROUP_OWN, 0, OPT_TEXT, AT(to.store_credentials), SNAP_COPY, "FILE",
     "credentials of the store there"},
    {"kubeconfig", GROUP_CLUSTER, 0, OPT_TEXT, AT(kubeconfig),
     RENDERS | RESTORE | DRILL | ASKS | CLUSTERS, "FILE",
     "kubeconfig (default: $KUBECONFIG, ~/.kube/config, in-cluster)"},
    {"context", GROUP_CLUSTER, 0, OPT_TEXT, AT(context),
     RENDERS | RESTORE | DRILL | ASKS | CLUSTERS, "NAME", "context of the kubeconfig"},
    {"namespace", GROUP_CLUSTER, 'n', OPT_TEXT, AT(namespace), RENDERS, "NAME",
     "namespace of objects named in short"},
    {"namespace", GROUP_CLUSTER, 'n', OPT_TEXT, AT(namespace), ASKS, "NAME",
     "namespace of the Application (default: wherever it is)"},
    {"namespace", GROUP_OWN, 'n', OPT_PICK, AT(restore.namespaces), RESTORE, "NAME",
     "only what is in this namespace, and what it needs; repeatable"},
    {"app", GROUP_OWN, 0, OPT_LIST, AT(apps), BOOT | DIFF | PLAN | RESTORE, "NAME",
     "only this application and what it depends on; repeatable"},
    {"revision", GROUP_OWN, 0, OPT_TEXT, AT(root_revision), SOURCED | RESTORE | DRILL, "REV",
     "revision of ROOT, in place of its ?ref=; restore: the newest good snapshot of that commit, "
     "or "
     "\"healthy\", of one at which all was healthy"},
    {"revision", GROUP_OWN, 0, OPT_TEXT, AT(root_revision), SYNC, "REV",
     "sync to this one and not to what Git has now; of several sources each, with commas"},
    {"resource", GROUP_OWN, 0, OPT_LIST, AT(control.resources), SYNC, "GROUP:KIND:[NS/]NAME",
     "only this object, without hooks; * stands for anything, ! in front leaves it out; "
     "repeatable"},
    {"sync-option", GROUP_OWN, 0, OPT_LIST, AT(control.sync_options), SYNC, "NAME=VALUE",
     "sync option for this time, such as Replace=true; repeatable"},
    {"prune", GROUP_OWN, 0, OPT_FLAG, AT(control.prune), SYNC, NULL,
     "delete what Git no longer has"},
    {"approve", GROUP_OWN, 0, OPT_FLAG, AT(control.approve), SYNC, NULL,
     "approve of the deletions that wait for a confirmation (Prune=confirm), and nothing else"},
    {"terminate", GROUP_OWN, 0, OPT_FLAG, AT(control.terminate), SYNC, NULL,
     "end the operation that is on; what it has done stays"},
    {"hard", GROUP_OWN, 0, OPT_FLAG, AT(control.hard), REFRESH, NULL,
     "render again, whatever is cached"},
    {"suspend", GROUP_OWN, 0, OPT_FLAG, AT(control.suspend), ROLLBACK, NULL,
     "hold automated sync first, until regrow resume"},
    {"wait", GROUP_OWN, 0, OPT_FLAG, AT(control.wait), FOLLOWED, NULL,
     "wait until it is done (the default on a terminal)"},
    {"no-wait", GROUP_OWN, 0, OPT_FLAG, AT(control.no_wait), FOLLOWED, NULL, "only ask"},
    {"timeout", GROUP_OWN, 0, OPT_TIME, AT(timeout_ms), DOCTOR, "TIME",
     "how long each check may take (default 30s)"},
    {"timeout", GROUP_OWN, 0, OPT_TIME, AT(timeout_ms), (SOURCED & ~DOCTOR) | RESTORE | DRILL,
     "TIME", "give up after so long, sources included, such as 10m"},
    {"timeout", GROUP_OWN, 0, OPT_TIME, AT(timeout_ms), FOLLOWED, "TIME",
     "wait no longer than so long, such as 5m; what was asked for goes on"},
    {"wait-for-cluster", GROUP_CLUSTER, 0, OPT_TIME, AT(wait_ms),
     RENDERS | RESTORE | DRILL | ASKS | CLUSTERS, "TIME",
     "how long to wait for an API server that does not answer (default 1m; for one that is lost in "
     "the middle of a run 10m)"},
    {"expect-cluster", GROUP_CLUSTER, 0, OPT_TEXT, AT(expect_cluster), LIVE | SNAP_CREATE | RESTORE,
     "UID", "refuse any cluster whose kube-system has another uid"},
    {"order", GROUP_OWN, 0, OPT_TEXT, AT(order), ROOTED, "full|inferred|declared",
     "which edges count: all, without waves, or only what is declared"},
    {"break-declared", GROUP_OWN, 0, OPT_FLAG, AT(break_declared), ROOTED | RESTORE | DRILL, NULL,
     "let waves and depends-on give way in a cycle"},
    {"ready", GROUP_OWN, 0, OPT_LIST, AT(ready), BOOT | RECONCILE | STATUS | RESTORE | DRILL,
     "KIND[.GROUP]=applied", "take this kind for healthy once it is applied; repeatable"},
    {"force-conflicts", GROUP_OWN, 0, OPT_FLAG, AT(force_conflicts),
     BOOT | RECONCILE | DIFF | PLAN | RESTORE | SYNC, NULL,
     "take over fields that another manager owns"},
    {"force", GROUP_OWN, 0, OPT_FLAG, AT(force_all), BOOT, NULL, "send every object again"},
    {"then", GROUP_OWN, 0, OPT_TEXT, AT(then), BOOT | PLAN | DIFF | RESTORE,
     "regrow|argocd|flux|none",
     "who reconciles afterwards: everything is written under its field manager, with its marks"},
    {"no-prune", GROUP_OWN, 0, OPT_FLAG, AT(no_prune), BOOT | RECONCILE | PLAN | RESTORE, NULL,
     "delete nothing"},
    {"prune-left", GROUP_OWN, 0, OPT_LIST, AT(prune_left), BOOT | RECONCILE | PLAN, "NAME",
     "delete what this application left behind when it left Git; repeatable"},
    {"allow-mass-prune", GROUP_OWN, 0, OPT_FLAG, AT(allow_mass_prune),
     BOOT | RECONCILE | PLAN | RESTORE, NULL, "let a run delete more than a third of all objects"},
    {"use-cluster", GROUP_CLUSTER, 0, OPT_FLAG, AT(use_cluster), PLAN | RENDER | SNAP_CREATE, NULL,
     "read the cluster too, and render for its version"},
    {"kube-version", GROUP_CLUSTER, 0, OPT_TEXT, AT(kube_version), PLAN | RENDER | SNAP_CREATE,
     "1.NN", "Kubernetes version to render for without a cluster (1.37.0)"},
    {"from-kubeconfig", GROUP_OWN, 0, OPT_TEXT, AT(cluster.from_kubeconfig), CLUSTER_ADD, "FILE",
     "kubeconfig of the cluster that is registered (default: that of the hub)"},
    {"from-context", GROUP_OWN, 0, OPT_TEXT, AT(cluster.from_context), CLUSTER_ADD, "NAME",
     "its context there (default: the current one)"},
    {"project", GROUP_OWN, 0, OPT_TEXT, AT(cluster.project), CLUSTER_ADD, "NAME",
     "for applications of this project only"},
    {"watch", GROUP_OWN, 'w', OPT_FLAG, AT(watch), STATUS, NULL,
     "go on showing it as it changes, until Ctrl-C or --timeout"},
    {"poll", GROUP_OWN, 0, OPT_TIME, AT(reconcile.poll_ms), RECONCILE | STATUS, "TIME",
     "how often sources are looked at without being told of a push (default 3m)"},
    {"listen", GROUP_OWN, 0, OPT_TEXT, AT(reconcile.listen), RECONCILE, "ADDRESS",
     "serve metrics, an API and a page, such as 127.0.0.1:8080; beyond loopback (:8443) with TLS, "
     "and tokens that the cluster reviews"},
    {"tls-cert", GROUP_OWN, 0, OPT_TEXT, AT(reconcile.tls_cert), RECONCILE, "FILE",
     "its certificate, PEM; looked at again when it changes (else one of its own)"},
    {"tls-key", GROUP_OWN, 0, OPT_TEXT, AT(reconcile.tls_key), RECONCILE, "FILE", "and its key"},
    {"tls-dir", GROUP_OWN, 0, OPT_TEXT, AT(reconcile.tls_dir), RECONCILE, "FOLDER",
     "or tls.crt and tls.key there, as soon as they are (until then one of its own)"},
    {"webhook-secret", GROUP_OWN, 0, OPT_LIST, AT(reconcile.webhook_secrets), RECONCILE, "FILE",
     "secret by which pushes of a Git host are believed; repeatable"},
    {"webhook-secret-dir", GROUP_OWN, 0, OPT_TEXT, AT(reconcile.webhook_secret_dir), RECONCILE,
     "FOLDER", "every file there is such a secret, as soon as it is"},
    {"log-format", GROUP_OWN, 0, OPT_TEXT, AT(reconcile.log_format), RECONCILE, "text|json",
     "lines for people, or an event a line (as -o ndjson), errors too"},
    {"snapshot-to", GROUP_OWN, 0, OPT_TEXT, AT(reconcile.snapshot_to), RECONCILE, "URL",
     "repository of snapshots that gets one after each healthy revision; with --key of a job and "
     "what else snapshot create takes"},
    {"snapshot-interval", GROUP_OWN, 0, OPT_TIME, AT(reconcile.snapshot_interval_ms), RECONCILE,
     "TIME", "at most one in so long (default 5m)"},
    {"once", GROUP_OWN, 0, OPT_FLAG, AT(reconcile.once), RECONCILE, NULL,
     "do what is owed, wait until it is healthy, and end: for a scheduled job"},
    {"exit-code", GROUP_OWN, 0, OPT_FLAG, AT(exit_code), PLAN, NULL,
     "exit 20 when there is something to do"},
    {"mirror", GROUP_SOURCES, 0, OPT_LIST, AT(mirrors), SOURCED, "FROM=TO",
     "read URLs that begin with FROM at TO (URL or folder); repeatable"},
    {"credentials", GROUP_SOURCES, 0, OPT_TEXT, AT(credentials), SOURCED | RESTORE, "FILE",
     "YAML list of entries with url and username, password, bearer, sshKeyFile, caFile, certFile, "
     "keyFile, proxy, insecure, enableOCI"},
    {"git-credentials", GROUP_SOURCES, 0, OPT_FLAG, AT(git_credentials), SOURCED | RESTORE, NULL,
     "ask git's credential helpers and ~/.netrc as a last resort"},
    {"source-timeout", GROUP_SOURCES, 0, OPT_TIME, AT(source_timeout_ms), SOURCED | RESTORE, "TIME",
     "how long a source's server may be silent (default 30s)"},
    {"render-timeout", GROUP_SOURCES, 0, OPT_TIME, AT(render_timeout_ms), SOURCED | RESTORE, "TIME",
     "how long helm or kustomize may take for one application (default 2m)"},
    {"known-hosts", GROUP_SOURCES, 0, OPT_TEXT, AT(known_hosts), SOURCED | RESTORE, "FILE",
     "host keys for ssh"},
    {"ca-file", GROUP_SOURCES, 0, OPT_TEXT, AT(ca_file), SOURCED | SNAPSHOTS, "FILE",
     "further CA for https"},
    {"cache-dir", GROUP_SOURCES, 0, OPT_TEXT, AT(cache_dir), SOURCED | SNAPSHOTS, "DIR",
     "cache (default ~/.cache/regrow)"},
    {"offline", GROUP_SOURCES, 0, OPT_FLAG, AT(offline), SOURCED, NULL,
     "use the cache and folders only"},
    {"refresh", GROUP_SOURCES, 0, OPT_FLAG, AT(refresh), SOURCED, NULL,
     "render again, whatever is cached"},
    {"allow-duplicate-keys", GROUP_SOURCES, 0, OPT_FLAG, AT(allow_duplicate_keys), SOURCED, NULL,
     "read YAML with duplicate keys as kubectl does: the last one counts"},
    {"jobs", GROUP_SOURCES, 'j', OPT_INT, AT(jobs), SOURCED, "N",
     "helm and kustomize processes at once"},
    {"customizations", GROUP_GENERAL, 0, OPT_TEXT, AT(customizations), HEALTH, "FILE",
     "argocd-cm whose health scripts go first"},
    {"no-progress", GROUP_GENERAL, 0, OPT_FLAG, AT(no_progress),
     BOOT | SNAP_CREATE | RESTORE | DRILL | STATUS, NULL, "plain lines, no live view"},
    {"no-color", GROUP_GENERAL, 0, OPT_FLAG, AT(no_color), ANY, NULL, "no colours (also NO_COLOR)"},
    {"verbose", GROUP_GENERAL, 'v', OPT_FLAG, AT(verbose), ANY, NULL, "more detail"},
    {"quiet", GROUP_GENERAL, 'q', OPT_FLAG, AT(quiet), ANY, NULL, "only the result"},
    {"config", GROUP_GENERAL, 0, OPT_TEXT, AT(config), ANY, "FILE",
     "YAML map of these options (default ~/.config/regrow/config.yaml)"},
    {"help", GROUP_GENERAL, 'h', OPT_FLAG, AT(help), ANY, NULL, "show this help"},
};

const struct option *options_all(size_t *n)
{
    *n = ARRAY_LEN(options);
    return options;
}

// Names that options had before: still taken, and shown nowhere.
static const struct {
    const char *was, *is;
} renamed[] = {{"wait-cluster", "wait-for-cluster"}};

const char *option_former(const struct option *o)
{
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (!strcmp(renamed[i].is, o->name))
            return renamed[i].was;
    return NULL;
}

const struct option *option_find(const struct command *cmd, const char *name, size_t len)
{
    const struct option *any = NULL;
    for (size_t i = 0; i < ARRAY_LEN(renamed); i++)
        if (strlen(renamed[i].was) == len && !strncmp(renamed[i].was, name, len))
            return option_find(cmd, renamed[i].is, strlen(renamed[i].is));
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (strlen(options[i].name) != len || strncmp(options[i].name, name, len) != 0)
            continue;
        if (cmd && option_is_for(&options[i], cmd))
            return &options[i];
        any = any ? any : &options[i];
    }
    return any;
}

bool option_is_for(const struct option *o, const struct command *cmd)
{
    return (o->commands & cmd->bit) != 0;
}

const char *option_near(const struct command *cmd, const char *name, size_t len)
{
    const char *best = NULL;
    size_t least = 3;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        size_t d = word_distance(name, len, options[i].name);
        if (option_is_for(&options[i], cmd) && d < least) {
            least = d;
            best = options[i].name;
        }
    }
    return best;
}

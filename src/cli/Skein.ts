/** The `skein` command: its subcommands. */
import * as Command from "@effect/cli/Command"
import { access } from "./access.ts"
import { actors } from "./actors.ts"
import { apply } from "./apply.ts"
import { audit } from "./audit.ts"
import { awaitService } from "./await.ts"
import { config } from "./config.ts"
import { deleteSetting } from "./delete.ts"
import { demo } from "./demo.ts"
import { diff } from "./diff.ts"
import { dns } from "./dns.ts"
import { doctor } from "./doctor.ts"
import { drain } from "./drain.ts"
import { endpoints } from "./endpoints.ts"
import { forget } from "./forget.ts"
import { get } from "./get.ts"
import { history } from "./history.ts"
import { init } from "./init.ts"
import { invite } from "./invite.ts"
import { join } from "./join.ts"
import { leave } from "./leave.ts"
import { links } from "./links.ts"
import { members } from "./members.ts"
import { peers } from "./peers.ts"
import { policy } from "./policy.ts"
import { runCommandLine } from "./RunSkein.ts"
import { reload } from "./reload.ts"
import { revoke } from "./revoke.ts"
import { rollback } from "./rollback.ts"
import { root } from "./root.ts"
import { services } from "./services.ts"
import { status } from "./status.ts"
import { up } from "./up.ts"

const commands = [
  demo,
  init,
  up,
  join,
  invite,
  revoke,
  root,
  dns,
  forget,
  status,
  members,
  peers,
  services,
  endpoints,
  actors,
  links,
  access,
  awaitService,
  apply,
  get,
  diff,
  deleteSetting,
  history,
  rollback,
  policy,
  drain,
  leave,
  reload,
  audit,
  doctor,
  config
] as const

const skein = Command.make("skein").pipe(
  Command.withDescription("A service mesh without control plane"),
  Command.withSubcommands(commands)
)

/** Runs the command line. Fails with what the exit code is made of; everything was said already. */
export const runSkein = (argv: ReadonlyArray<string>) => runCommandLine({ skein, commands }, argv)

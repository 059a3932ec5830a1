/** The two ways into the admin API: a port, which shows, and a socket of this node's user, at which it takes changes. */
import { Context, Effect, Layer, type Scope } from "effect"
import type { AdminListenError } from "../admin/AdminPort.ts"
import { AdminListening, type AdminServerOptions, adminServer } from "../admin/AdminServer.ts"
import { AdminSource } from "../admin/AdminSource.ts"
import { AdminToken } from "../admin/AdminToken.ts"
import { controlToken } from "../admin/ControlPlace.ts"
import { formatAdminAddress } from "../config/HostPort.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import type { TickTimers } from "../mesh/actor/Ticking.ts"
import type { RecordAudit } from "../model/AuditEvent.ts"
import { ControlSocket } from "./ControlSocket.ts"

export interface AdminDoorsOptions {
  readonly config: Pick<NodeConfig, "admin" | "node">
  readonly source: AdminSource["Type"]
  /** At each of the two. Default: as many as the server takes. */
  readonly connections: number | undefined
  readonly ticker: TickTimers
  readonly audit: RecordAudit
}

export interface AdminDoors {
  /** Where the port listens. */
  readonly port: string | undefined
  readonly control: ControlSocket | undefined
}

/** Where it listens. */
const openAdmin = (
  options: AdminServerOptions,
  source: AdminSource["Type"]
): Effect.Effect<string, AdminListenError, Scope.Scope> =>
  Layer.build(adminServer(options).pipe(Layer.provide(Layer.succeed(AdminSource, source)))).pipe(
    Effect.map((context) => formatAdminAddress(Context.get(context, AdminListening)))
  )

/** Both, or neither when the config says that there is no admin API. */
export const openAdminDoors = ({
  audit,
  config,
  connections,
  source,
  ticker
}: AdminDoorsOptions): Effect.Effect<AdminDoors, AdminListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const { admin } = config
    const { dataDir } = config.node
    if (admin === "off") return { port: undefined, control: undefined }
    const token = new AdminToken(controlToken(dataDir))
    const port = yield* openAdmin(
      { ...admin, connections, audit, holdsToken: token.isHeldBy },
      source
    )
    const control = yield* ControlSocket.make({
      dataDir,
      token,
      ticker,
      open: (path) =>
        openAdmin({ listen: { path }, allowRemote: false, connections, audit }, source)
    })
    return { port, control }
  })

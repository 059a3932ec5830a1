/** What this host must offer a node: a runtime, a valid config, private files, free ports. */
import { readdir, stat } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { Effect } from "effect"
import { readConfig } from "../config/ConfigFile.ts"
import { formatHostPort, type HostPort, isLoopback } from "../config/HostPort.ts"
import { parseMultiaddr } from "../config/Multiaddr.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { runtimeAdvice, runtimeOf } from "../node/Runtime.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { type CommandFailed, failCommand } from "./CommandFailed.ts"

export const runtimeCheck = (versions: NodeJS.ProcessVersions): Check => {
  const { able, name } = runtimeOf(versions)
  return able ? ok("runtime", name) : fail("runtime", name, runtimeAdvice)
}

/** Said before a node starts: else it would fail somewhere within, and of that the log would tell. */
export const requireRuntime = (
  versions: NodeJS.ProcessVersions
): Effect.Effect<void, CommandFailed> => {
  const { state, detail, hint } = runtimeCheck(versions)
  return state === "fail" ? failCommand(`this is ${detail}. ${hint}`) : Effect.void
}

/** The config, or the failed check when it cannot be used. */
export const configCheck = (
  path: string
): Effect.Effect<{ readonly check: Check; readonly config: NodeConfig | undefined }> =>
  Effect.match(readConfig(path), {
    onFailure: ({ problems, message }) => ({
      check: fail(
        "config",
        message.replaceAll("\n", "\n    "),
        `${problems.length} to be mended; a running node keeps the config it has.`
      ),
      config: undefined
    }),
    onSuccess: ({ config, warnings }) => ({
      check:
        warnings.length === 0
          ? ok("config", `${path} is valid`)
          : warn("config", warnings.join("\n    "), "The file is valid; is that meant?"),
      config
    })
  })

/** Listeners that hand this node's rights to whoever can reach them: meant, as the config allows it. */
export const exposureChecks = (config: NodeConfig): ReadonlyArray<Check> => {
  const { admin, outbound, upstreams } = config
  const open: ReadonlyArray<readonly [string, HostPort]> = [
    ...(admin !== "off" && "host" in admin.listen ? [["admin", admin.listen] as const] : []),
    ...(outbound.http === "off" ? [] : [["outbound.http", outbound.http.listen] as const]),
    ...upstreams.map(({ service, listen }) => [`upstream ${service}`, listen] as const)
  ]
  return open
    .filter(([, { host }]) => !isLoopback(host))
    .map(([name, address]) =>
      ok(name, `${formatHostPort(address)} can be reached from other hosts, as allowRemote says`)
    )
}

const systemCode = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)

/** Others on this host must not read the keys. */
export const dataDirCheck = (dataDir: string): Effect.Effect<Check> =>
  Effect.tryPromise({
    try: async () => {
      const keys = (await readdir(dataDir)).filter((name) => name.endsWith(".key"))
      const paths = [dataDir, ...keys.map((name) => join(dataDir, name))]
      const open: Array<string> = []
      for (const path of paths) if (((await stat(path)).mode & 0o077) !== 0) open.push(path)
      return open
    },
    catch: systemCode
  }).pipe(
    Effect.match({
      onFailure: (code) =>
        code === "ENOENT"
          ? warn(
              "data directory",
              `${dataDir} does not exist`,
              "`skein init` or `skein join` makes it."
            )
          : warn("data directory", `${dataDir}: ${code}`, "Ask as the user the node runs as."),
      onSuccess: (open) =>
        open.length === 0
          ? ok("data directory", `${dataDir} is private`)
          : fail(
              "data directory",
              `others on this host can read ${open.join(", ")}`,
              `chmod go-rwx ${open.join(" ")}`
            )
    })
  )

const canListen = ({ host, port }: HostPort): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    const server = createServer()
    server.once("error", (cause) => resume(Effect.succeed(systemCode(cause))))
    server.listen({ host, port }, () => server.close(() => resume(Effect.succeed(undefined))))
  })

/** Only for a node that is not running: a running one holds its ports itself. */
export const portChecks = (config: NodeConfig): Effect.Effect<ReadonlyArray<Check>> => {
  const { admin, node, outbound, upstreams } = config
  const wanted: ReadonlyArray<readonly [string, HostPort]> = [
    ...node.listen.flatMap((text) => {
      const address = parseMultiaddr(text)
      return address === undefined ? [] : [["node.listen", address] as const]
    }),
    ...(admin !== "off" && "host" in admin.listen ? [["admin", admin.listen] as const] : []),
    ...(outbound.http === "off" ? [] : [["outbound.http", outbound.http.listen] as const]),
    ...upstreams.map(({ service, listen }) => [`upstream ${service}`, listen] as const)
  ]
  return Effect.forEach(wanted, ([name, address]) =>
    Effect.map(canListen(address), (code) => {
      const where = formatHostPort(address)
      if (code === undefined) return ok(name, `${where} is free`)
      return code === "EADDRINUSE"
        ? fail(name, `${where} is in use by another program`, "Stop it, or choose another port.")
        : fail(name, `cannot listen on ${where}: ${code}`, "Use an address of this host.")
    })
  )
}

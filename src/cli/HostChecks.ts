/** What this host must offer a node: a runtime, a valid config, private files, free ports. */
import { constants } from "node:fs"
import { access, readdir, stat, statfs } from "node:fs/promises"
import { createServer } from "node:net"
import { join } from "node:path"
import { Effect } from "effect"
import { readConfig } from "../config/ConfigFile.ts"
import { formatHostPort, type HostPort } from "../config/HostPort.ts"
import { parseMultiaddr } from "../config/Multiaddr.ts"
import type { NodeConfig } from "../config/NodeConfig.ts"
import { isLoopback } from "../model/Loopback.ts"
import { unixPathOf } from "../model/UnixHost.ts"
import { runtimeAdvice, runtimeOf } from "../node/Runtime.ts"
import { type Check, fail, ok, warn } from "./Check.ts"
import { type CommandFailed, failCommand } from "./CommandFailed.ts"
import { bytes } from "./Figures.ts"

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

/** Ports of proxies, and what to call them. */
const proxies = ({
  http,
  listeners
}: NodeConfig["outbound"]): ReadonlyArray<readonly [string, HostPort]> => [
  ...(http === "off" ? [] : [["outbound.http", http.listen] as const]),
  ...listeners.flatMap(({ as, listen }) =>
    "path" in listen ? [] : [[as === undefined ? "listener" : `listener as ${as}`, listen] as const]
  )
]

const ofNames = (dns: NodeConfig["dns"]): ReadonlyArray<readonly [string, HostPort]> =>
  dns === undefined
    ? []
    : [
        ["dns.listen", dns.listen.listen],
        ...(dns.bridge === undefined ? [] : [["dns.bridge", dns.bridge.listen] as const])
      ]

const ofUpstreams = (
  upstreams: NodeConfig["upstreams"]
): ReadonlyArray<readonly [string, HostPort]> =>
  upstreams.flatMap(({ listen, service }) =>
    unixPathOf(listen.host) === undefined ? [[`upstream ${service}`, listen] as const] : []
  )

/** Listeners that hand this node's rights to whoever can reach them: meant, as the config allows it. */
export const exposureChecks = (config: NodeConfig): ReadonlyArray<Check> => {
  const { admin, dns, outbound, upstreams } = config
  const open: ReadonlyArray<readonly [string, HostPort]> = [
    ...(admin !== "off" && "host" in admin.listen ? [["admin", admin.listen] as const] : []),
    ...proxies(outbound),
    ...ofNames(dns),
    ...ofUpstreams(upstreams)
  ]
  return open
    .filter(([, { host }]) => !isLoopback(host))
    .map(([name, address]) =>
      ok(name, `${formatHostPort(address)} can be reached from other hosts, as allowRemote says`)
    )
}

const systemCode = (cause: unknown): string =>
  cause instanceof Error && "code" in cause ? String(cause.code) : String(cause)

/** Less free space than this, in bytes, is soon none. */
const littleSpace = 16 * 1024 * 1024

/** Undefined where the system does not tell. */
const freeSpace = async (path: string): Promise<number | undefined> => {
  try {
    const { bavail, bsize } = await statfs(path)
    return bavail * bsize
  } catch {
    return undefined
  }
}

const openToOthers = async (dataDir: string): Promise<ReadonlyArray<string>> => {
  const keys = (await readdir(dataDir)).filter((name) => name.endsWith(".key"))
  const paths = [dataDir, ...keys.map((name) => join(dataDir, name))]
  const open: Array<string> = []
  for (const path of paths) if (((await stat(path)).mode & 0o077) !== 0) open.push(path)
  return open
}

/** Others on this host must not read the keys; and what is renewed must be stored. */
const judgeDataDir = async (dataDir: string): Promise<Check> => {
  const name = "data directory"
  const open = await openToOthers(dataDir)
  if (open.length > 0) {
    const paths = open.join(" ")
    return fail(name, `others on this host can read ${open.join(", ")}`, `chmod go-rwx ${paths}`)
  }
  const notStored =
    "What is renewed and learnt is not stored; a running node serves on from memory."
  try {
    await access(dataDir, constants.W_OK)
  } catch (cause) {
    const mend = "Make it writable (`mount` shows whether its disk is read-only)."
    return fail(name, `${dataDir} cannot be written: ${systemCode(cause)}`, `${notStored} ${mend}`)
  }
  const free = await freeSpace(dataDir)
  if (free !== undefined && free < littleSpace) {
    const detail = `${dataDir} is private, but its disk has ${free === 0 ? "no space" : `only ${bytes(free)}`} left`
    const mend = "Free some."
    return free === 0
      ? fail(name, detail, `${notStored} ${mend}`)
      : warn(name, detail, `Certificate and catalogue are stored there. ${mend}`)
  }
  return ok(name, `${dataDir} is private`)
}

/** `isRunning`: a node that works on it has been asked, and answered. */
export const dataDirCheck = (dataDir: string, isRunning: boolean): Effect.Effect<Check> =>
  Effect.tryPromise({ try: () => judgeDataDir(dataDir), catch: systemCode }).pipe(
    Effect.catchAll((code) =>
      Effect.succeed(
        code !== "ENOENT"
          ? warn("data directory", `${dataDir}: ${code}`, "Ask as the user the node runs as.")
          : isRunning
            ? fail(
                "data directory",
                `${dataDir} has gone while the node runs`,
                "The node has all of it in memory and writes it again within seconds, unless its volume is not mounted: then mount it. Do not make a new one."
              )
            : warn(
                "data directory",
                `${dataDir} does not exist`,
                "`skein init` or `skein join` makes it."
              )
      )
    )
  )

const canListen = ({ host, port }: HostPort): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    const server = createServer()
    server.once("error", (cause) => resume(Effect.succeed(systemCode(cause))))
    server.listen({ host, port }, () => server.close(() => resume(Effect.succeed(undefined))))
  })

/**
 * Only for a node that does not answer: one that answers holds its ports itself. `holder`: the
 * process that holds its data directory, and so most likely its ports.
 */
export const portChecks = (
  config: NodeConfig,
  holder: number | undefined
): Effect.Effect<ReadonlyArray<Check>> => {
  const { admin, dns, node, outbound, upstreams } = config
  const wanted: ReadonlyArray<readonly [string, HostPort]> = [
    ...node.listen.flatMap((text) => {
      const address = parseMultiaddr(text)
      return address === undefined ? [] : [["node.listen", address] as const]
    }),
    ...(admin !== "off" && "host" in admin.listen ? [["admin", admin.listen] as const] : []),
    ...proxies(outbound),
    ...ofNames(dns),
    ...ofUpstreams(upstreams)
  ]
  return Effect.forEach(wanted, ([name, address]) =>
    Effect.map(canListen(address), (code) => {
      const where = formatHostPort(address)
      if (code === undefined) return ok(name, `${where} is free`)
      if (code === "EADDRINUSE" && holder !== undefined) {
        return warn(
          name,
          `${where} is in use, most likely by this node itself (pid ${holder})`,
          "It runs, but its admin API does not answer: its log says why."
        )
      }
      return code === "EADDRINUSE"
        ? fail(name, `${where} is in use by another program`, "Stop it, or choose another port.")
        : fail(name, `cannot listen on ${where}: ${code}`, "Use an address of this host.")
    })
  )
}

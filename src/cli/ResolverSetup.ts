/**
 * How this host's programs come to ask the node for names: a piece of config for whatever resolves
 * names here. Pure: what is there is passed in, and what is to be done comes out.
 */
import type { HostPort } from "../config/HostPort.ts"

/** What resolves names on a host, as far as it can be told what to ask a node. */
export type ResolverKind =
  | "systemd-resolved"
  | "networkmanager"
  | "dnsmasq"
  | "macos"
  | "resolv.conf"

export interface ResolverFacts {
  readonly platform: NodeJS.Platform
  /** Whether there is a file or directory of that path. */
  readonly exists: (path: string) => boolean
  /** Text of a file; undefined: there is none. */
  readonly read: (path: string) => string | undefined
}

export interface Names {
  readonly server: HostPort
  readonly suffix: string
  /** The node asks others for names that are not the mesh's. */
  readonly forwards: boolean
}

export interface ResolverPlan {
  readonly kind: ResolverKind
  /** The file that is written… */
  readonly path: string
  /** …and what stands in it then; undefined: it is taken away. */
  readonly text: string | undefined
  /** Has what it read read again. */
  readonly reload: ReadonlyArray<string> | undefined
}

const mark = "# Written by `skein dns install`; `skein dns remove` takes it away."
const end = "# End of what `skein dns install` wrote."

const resolvConf = "/etc/resolv.conf"

/** The first of these that is there. `undefined`: nothing that could be told. */
export const resolverKind = ({
  exists,
  platform,
  read
}: ResolverFacts): ResolverKind | undefined => {
  if (platform === "darwin") return "macos"
  if (platform !== "linux") return undefined
  if (exists("/run/systemd/resolve/resolv.conf")) return "systemd-resolved"
  const manager = read("/etc/NetworkManager/NetworkManager.conf") ?? ""
  if (/^\s*dns\s*=\s*dnsmasq\b/m.test(manager)) return "networkmanager"
  if (exists("/etc/dnsmasq.d")) return "dnsmasq"
  return exists(resolvConf) ? "resolv.conf" : undefined
}

const fileName = (suffix: string): string => `skein-${suffix}.conf`

const pathOf = (kind: ResolverKind, suffix: string): string => {
  switch (kind) {
    case "systemd-resolved":
      return `/etc/systemd/resolved.conf.d/${fileName(suffix)}`
    case "networkmanager":
      return `/etc/NetworkManager/dnsmasq.d/${fileName(suffix)}`
    case "dnsmasq":
      return `/etc/dnsmasq.d/${fileName(suffix)}`
    case "macos":
      return `/etc/resolver/${suffix}`
    case "resolv.conf":
      return resolvConf
  }
}

const reloads: Record<ResolverKind, ReadonlyArray<string> | undefined> = {
  "systemd-resolved": ["systemctl", "restart", "systemd-resolved"],
  networkmanager: ["systemctl", "reload", "NetworkManager"],
  dnsmasq: ["systemctl", "restart", "dnsmasq"],
  macos: undefined,
  "resolv.conf": undefined
}

const lines = (...all: ReadonlyArray<string>): string => all.map((line) => `${line}\n`).join("")

/** Without what an install put there. */
const without = (text: string): string => {
  const from = text.indexOf(mark)
  const to = text.indexOf(end)
  return from === -1 || to < from ? text : text.slice(0, from) + text.slice(to + end.length + 1)
}

const textOf = (kind: ResolverKind, names: Names, before: string): string => {
  const { server, suffix } = names
  const { host, port } = server
  switch (kind) {
    case "systemd-resolved": {
      const address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
      return lines(mark, "[Resolve]", `DNS=${address}`, `Domains=~${suffix}`)
    }
    case "networkmanager":
    case "dnsmasq":
      // Its guard against rebinding refuses answers of loopback, which all of ours are.
      return lines(mark, `server=/${suffix}/${host}#${port}`, `rebind-domain-ok=/${suffix}/`)
    case "macos":
      return lines(mark, `nameserver ${host}`, `port ${port}`)
    case "resolv.conf":
      return lines(mark, `nameserver ${host}`, end) + without(before)
  }
}

/** Why that cannot be done, or the plan. */
export const planInstall = (facts: ResolverFacts, names: Names): ResolverPlan | string => {
  const kind = resolverKind(facts)
  const { server, suffix } = names
  if (kind === undefined) {
    return `it is not known how ${facts.platform} resolves names: have it ask ${server.host}, port ${server.port}, for *.${suffix}`
  }
  const path = pathOf(kind, suffix)
  const before = facts.read(path) ?? ""
  if (kind === "resolv.conf") {
    // It has no ports and no domains of their own: the node would be asked for everything.
    if (server.port !== 53) {
      return `${resolvConf} knows no ports: write dns: { listen: "127.0.0.1:53", forward: […] } in the node's config, restart it, and try again; or run systemd-resolved or dnsmasq`
    }
    if (!names.forwards) {
      return `${resolvConf} knows one server for all names: write dns.forward in the node's config (${nameservers(before)}), restart it, and try again`
    }
  } else if (before !== "" && !before.startsWith(mark)) {
    return `${path} is there already and is not of skein; look at it, and take it away or write it yourself`
  }
  return { kind, path, text: textOf(kind, names, before), reload: reloads[kind] }
}

const nameservers = (text: string): string => {
  const found = Array.from(without(text).matchAll(/^nameserver\s+(\S+)/gm), ([, host = ""]) => host)
  return found.length === 0
    ? "the servers that are asked today"
    : `forward: [${found.map((host) => `"${host.includes(":") ? `[${host}]` : host}:53"`).join(", ")}]`
}

/** What an install left, wherever it was; its own pieces and nothing else. */
export const planRemove = (
  { exists, read }: Pick<ResolverFacts, "exists" | "read">,
  suffix: string
): ReadonlyArray<ResolverPlan> =>
  kinds.flatMap((kind) => {
    const path = pathOf(kind, suffix)
    const text = exists(path) ? read(path) : undefined
    if (text === undefined || !text.includes(mark)) return []
    const rest = kind === "resolv.conf" ? without(text) : undefined
    return [{ kind, path, text: rest, reload: reloads[kind] }]
  })

const kinds: ReadonlyArray<ResolverKind> = [
  "systemd-resolved",
  "networkmanager",
  "dnsmasq",
  "macos",
  "resolv.conf"
]

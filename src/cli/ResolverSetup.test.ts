import { basename, dirname } from "node:path"
import { describe, expect, it } from "vitest"
import {
  installed,
  type Names,
  planInstall,
  planRemove,
  type ResolverFacts
} from "./ResolverSetup.ts"

const names: Names = {
  server: { host: "127.0.0.1", port: 5354 },
  suffix: "mesh",
  forwards: false
}

const host = (
  files: Record<string, string>,
  platform: NodeJS.Platform = "linux"
): ResolverFacts & { readonly files: Record<string, string> } => ({
  platform,
  files,
  exists: (path) => path in files || Object.keys(files).some((one) => one.startsWith(`${path}/`)),
  read: (path) => files[path],
  list: (path) =>
    Object.keys(files)
      .filter((one) => dirname(one) === path)
      .map((one) => basename(one))
})

/** That of a host whose interface was given a server, as by DHCP. */
const link = { "/run/systemd/netif/links/2": "ADMIN_STATE=configured\nDNS=192.0.2.53\n" }
const resolved = { "/run/systemd/resolve/resolv.conf": "", "/etc/resolv.conf": "" }

const mark = "# Written by `skein dns install`; `skein dns remove` takes it away."

describe("a host's own resolver", () => {
  it.each([
    [
      "systemd-resolved",
      host({ ...resolved, ...link }),
      "/etc/systemd/resolved.conf.d/skein-mesh.conf",
      `${mark}\n[Resolve]\nDNS=127.0.0.1:5354\nDomains=~mesh\n`
    ],
    [
      "networkmanager",
      host({ "/etc/NetworkManager/NetworkManager.conf": "[main]\ndns=dnsmasq\n" }),
      "/etc/NetworkManager/dnsmasq.d/skein-mesh.conf",
      `${mark}\nserver=/mesh/127.0.0.1#5354\nrebind-domain-ok=/mesh/\n`
    ],
    [
      "networkmanager",
      host({ "/etc/NetworkManager/conf.d/dns.conf": "[main]\ndns=dnsmasq\n" }),
      "/etc/NetworkManager/dnsmasq.d/skein-mesh.conf",
      `${mark}\nserver=/mesh/127.0.0.1#5354\nrebind-domain-ok=/mesh/\n`
    ],
    [
      "dnsmasq",
      host({ "/etc/dnsmasq.d/README": "" }),
      "/etc/dnsmasq.d/skein-mesh.conf",
      `${mark}\nserver=/mesh/127.0.0.1#5354\nrebind-domain-ok=/mesh/\n`
    ],
    [
      "macos",
      host({}, "darwin"),
      "/etc/resolver/mesh",
      `${mark}\nnameserver 127.0.0.1\nport 5354\n`
    ]
  ])("%s is told whom to ask, and forgets it", (kind, facts, path, text) => {
    const plan = planInstall(facts, names)
    expect(plan).toMatchObject({ kind, path, text })
    const after = host({ ...facts.files, [path]: text }, facts.platform)
    // Once more is the same.
    expect(planInstall(after, names)).toEqual(plan)
    expect(planRemove(after, "mesh")).toMatchObject([{ kind, path, text: undefined }])
    expect(planRemove(facts, "mesh")).toEqual([])
  })

  it("resolv.conf is changed where the node can answer everything, and is as it was afterwards", () => {
    const before = "search example.com\nnameserver 192.0.2.1\n"
    const facts = host({ "/etc/resolv.conf": before })
    expect(planInstall(facts, names)).toContain("knows no ports")
    const at53 = { ...names, server: { host: "127.0.0.1", port: 53 } }
    expect(planInstall(facts, at53)).toContain(
      'dns.forward in the node\'s config (forward: ["192.0.2.1:53"])'
    )
    const plan = planInstall(facts, { ...at53, forwards: true })
    if (typeof plan === "string") throw new Error(plan)
    expect(plan.text).toBe(
      `${mark}\nnameserver 127.0.0.1\n# End of what \`skein dns install\` wrote.\n${before}`
    )
    const after = host({ "/etc/resolv.conf": plan.text ?? "" })
    expect(planInstall(after, { ...at53, forwards: true })).toEqual(plan)
    expect(planRemove(after, "mesh")).toMatchObject([{ path: "/etc/resolv.conf", text: before }])
  })

  it("systemd-resolved asks the node for the mesh's names alone, or it is left as it is", () => {
    const path = "/etc/systemd/resolved.conf.d/skein-mesh.conf"
    const servers = "[Resolve]\n#DNS=\nDNS=192.0.2.53\n"
    const all = { ...names, forwards: true }
    // Nobody else would be left to be asked for other names.
    expect(planInstall(host(resolved), names)).toContain(
      "no interface of this host has name servers"
    )
    expect(planInstall(host(resolved), all)).toMatchObject({ path })
    // Servers of one scope are asked in turn, each for anything.
    const shared = host({ ...resolved, ...link, "/etc/systemd/resolved.conf": servers })
    expect(planInstall(shared, names)).toBe(
      "/etc/systemd/resolved.conf names servers for all names (DNS=), which systemd-resolved would ask for *.mesh as well, and the node for all else: give them to the network's interface instead, or write dns.forward in the node's config, restart it, and try again"
    )
    expect(planInstall(shared, all)).toMatchObject({
      text: `${mark}\n[Resolve]\nDNS=\nDNS=127.0.0.1:5354\nDomains=~mesh\n`
    })
    const later = "/run/systemd/resolved.conf.d/vpn.conf"
    expect(planInstall(host({ ...shared.files, [later]: servers }), all)).toContain(
      `${later} names servers for all names (DNS=), which systemd-resolved would ask for *.mesh as well, and the node for all else: give them to the network's interface instead`
    )
    expect(
      planInstall(host({ ...resolved, ...link, "/etc/systemd/resolved.conf": "#DNS=\n" }), names)
    ).toMatchObject({ text: `${mark}\n[Resolve]\nDNS=127.0.0.1:5354\nDomains=~mesh\n` })
  })

  it("NetworkManager is told where it runs a dnsmasq that programs ask", () => {
    const main = "/etc/NetworkManager/NetworkManager.conf"
    const piece = (at: string, name: string) => `${at}/NetworkManager/conf.d/${name}.conf`
    const written = "# Generated by NetworkManager\nnameserver 127.0.0.1\n"
    const dnsmasq = "[main]\ndns = dnsmasq\n"
    const kind = (files: Record<string, string>) => {
      const plan = planInstall(host({ "/etc/resolv.conf": written, ...files }), names)
      return typeof plan === "string" ? plan : plan.kind
    }
    expect(kind({ [main]: dnsmasq })).toBe("networkmanager")
    expect(kind({ [piece("/run", "a")]: dnsmasq })).toBe("networkmanager")
    // A later file says otherwise, or one of the same name is read in its place.
    const otherwise = "is NetworkManager's, which would take the node's line away"
    expect(kind({ [main]: dnsmasq, [piece("/etc", "b")]: "[main]\ndns=default\n" })).toContain(
      otherwise
    )
    expect(kind({ [piece("/run", "a")]: dnsmasq, [piece("/etc", "a")]: "" })).toContain(otherwise)
    expect(kind({ [main]: "[device]\ndns=dnsmasq\n" })).toContain(otherwise)
    // Of a file that it does not write any more the line is nobody's to take away.
    expect(kind({ [main]: "[main]\ndns=none\n" })).toContain("knows no ports")
    // Where systemd-resolved runs as well, resolv.conf and the order of hosts say who is asked.
    const both = { ...resolved, ...link, [main]: dnsmasq }
    expect(kind(both)).toBe("systemd-resolved")
    expect(kind({ ...both, "/etc/resolv.conf": written })).toBe("networkmanager")
    const order = { "/etc/nsswitch.conf": "hosts: files resolve [!UNAVAIL=return] dns\n" }
    expect(kind({ ...both, ...order, "/etc/resolv.conf": written })).toBe("systemd-resolved")
  })

  it("what was installed is told, with why it does not count any more", () => {
    const path = "/etc/NetworkManager/dnsmasq.d/skein-mesh.conf"
    const main = "/etc/NetworkManager/NetworkManager.conf"
    const facts = host({ [main]: "[main]\ndns=dnsmasq\n" })
    expect(installed(facts, names)).toBeUndefined()
    const plan = planInstall(facts, names)
    if (typeof plan === "string") throw new Error(plan)
    const after = { ...facts.files, [path]: plan.text ?? "" }
    expect(installed(host(after), names)).toBe(`networkmanager (${path})`)
    const moved = { ...names, server: { host: "127.0.0.1", port: 5399 } }
    expect(installed(host(after), moved)).toContain("says something else than it would now")
    const other = host({ ...after, [main]: "", "/etc/dnsmasq.d/README": "" })
    expect(installed(other, names)).toContain("but names are resolved by dnsmasq here")
    expect(installed(host({ ...after, [main]: "" }), names)).toContain(
      "which would not be installed now: it is not known how linux"
    )
  })

  it("a file that somebody else wrote stays as it is", () => {
    const path = "/etc/dnsmasq.d/skein-mesh.conf"
    const facts = host({ [path]: "server=/mesh/10.0.0.1\n" })
    expect(planInstall(facts, names)).toContain("is not of skein")
    expect(planRemove(facts, "mesh")).toEqual([])
  })

  it("of a system that is not known it is said what it would have to do", () => {
    expect(planInstall(host({}, "win32"), names)).toBe(
      "it is not known how win32 resolves names: have it ask 127.0.0.1, port 5354, for *.mesh"
    )
    expect(planInstall(host({}), names)).toContain("it is not known how linux resolves names")
  })
})

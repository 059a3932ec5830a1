import { describe, expect, test } from "vitest"
import { serverName } from "../Certificates.ts"
import { nginxConfig } from "../NginxConfig.ts"
import { envoyArguments } from "./EnvoyPair.ts"
import { clientConfig, serverConfig } from "./HaproxyPair.ts"
import { clientHttp, serverHttp } from "./NginxPair.ts"
import { runtimeOf } from "./SkeinPair.ts"
import { describeThreads, describeWays, waysOf } from "./Ways.ts"

const nothing = { threads: undefined, peerThreads: undefined }

describe("the ways a peer runs", () => {
  test("asked for no threads, each runs once under its bare name", () => {
    for (const name of ["skein", "haproxy", "node", "direct"] as const) {
      expect(waysOf(name, nothing)).toEqual([
        { name, threads: undefined, label: name, over: undefined }
      ])
    }
  })

  test("Skein runs once for each number, divided by the first", () => {
    const ways = waysOf("skein", { ...nothing, threads: [1, 2, 4] })
    expect(ways.map(({ threads, label, over }) => [threads, label, over])).toEqual([
      [1, "skein, 1 thread", undefined],
      [2, "skein, 2 threads", "skein, 1 thread"],
      [4, "skein, 4 threads", "skein, 1 thread"]
    ])
  })

  test("peers run with one, and with more only when that is asked of them", () => {
    expect(waysOf("haproxy", { ...nothing, threads: [2] })).toHaveLength(1)
    const asked = { threads: [2], peerThreads: [1, 2] }
    expect(waysOf("haproxy", asked).map(({ label, over }) => [label, over])).toEqual([
      ["haproxy", undefined],
      ["haproxy, 2 threads", "haproxy"]
    ])
    expect(waysOf("nginx", asked).at(-1)?.label).toBe("nginx, 2 workers")
  })

  test("what has no threads to choose runs once", () => {
    const asked = { threads: [1, 2], peerThreads: [2, 4] }
    expect(waysOf("node", asked)).toHaveLength(1)
    expect(waysOf("direct", asked)).toHaveLength(1)
  })

  test("the line above the table says so", () => {
    expect(describeWays(nothing)).toBe("")
    expect(describeThreads(undefined)).toBe("")
    expect(describeThreads([1])).toBe("; Skein with 1 request thread")
    expect(describeThreads([2, 1])).toBe(
      "; Skein with 2 and 1 request threads; / own: over the first of its kind"
    )
    expect(describeWays({ threads: [1, 2, 4], peerThreads: undefined })).toBe(
      "; Skein with 1, 2 and 4 request threads; peers with one; / own: over the first of its kind"
    )
    expect(describeWays({ threads: undefined, peerThreads: [1, 2] })).toBe(
      "; peers with one, and with 2; / own: over the first of its kind"
    )
  })
})

describe("the number reaches the program", () => {
  test("a node is told only when it was asked for", () => {
    expect(runtimeOf(undefined)[0]).toBe(process.execPath)
    expect(runtimeOf(undefined).join(" ")).not.toContain("SKEIN_THREADS")
    expect(runtimeOf(2).slice(0, 3)).toEqual(["env", "SKEIN_THREADS=2", process.execPath])
  })

  test("peers have one unless more are asked for", () => {
    const identity = { certificate: "c", key: "k", bundle: "b" }
    const certificates = { ca: "ca", client: identity, server: identity }
    const haproxy = [clientConfig(1, 2, certificates), serverConfig(1, "a:2", certificates)]
    for (const text of haproxy) expect(text).toMatch(/^ {2}nbthread 1$/m)
    expect(clientConfig(1, 2, certificates, 4)).toMatch(/^ {2}nbthread 4$/m)
    expect(serverConfig(1, "a:2", certificates, 4)).toMatch(/^ {2}nbthread 4$/m)

    expect(envoyArguments("f").join(" ")).toContain("--concurrency 1 ")
    expect(envoyArguments("f", 4).join(" ")).toContain("--concurrency 4 ")

    expect(nginxConfig("d", "")).toContain("worker_processes 1;")
    expect(nginxConfig("d", "", 4)).toContain("worker_processes 4;")
    const nginx = (workers?: number) => [
      clientHttp(1, serverName, certificates, workers),
      serverHttp(1, "a:2", certificates, workers)
    ]
    for (const text of nginx()) expect(text).not.toContain("reuseport")
    for (const text of nginx(4)) expect(text).toContain("reuseport")
  })
})

/** A browser's page that calls by gRPC-Web and by WebSocket, through two hosts: Chromium, and Connect's client for pages. */
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { build as bundle } from "esbuild"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Told } from "../fixtures/BrowserPage.ts"
import { type ConnectShop, connectShop } from "../fixtures/ConnectShop.ts"
import { build, type Host, root, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, start, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const directory = mkdtempSync(join(tmpdir(), "skein-browser-"))
const sockets = `unix:${join(mesh.directory, "programs.sock")}`
const told: Array<Told> = []
let script = ""
const pages = createServer((request, response) => {
  if (request.method === "POST") {
    let text = ""
    request.setEncoding("utf8")
    request.on("data", (chunk: string) => {
      text += chunk
    })
    request.on("end", () => {
      told.push(JSON.parse(text) as Told) // the page's own words
      response.end()
    })
    return
  }
  const isScript = request.url === "/page.js"
  response.setHeader("content-type", isScript ? "text/javascript" : "text/html; charset=utf-8")
  response.end(isScript ? script : '<!doctype html><script type="module" src="/page.js"></script>')
})
let shop: ConnectShop
let a: Host
let query = ""
let pagePort = 0

/** What the page tells that is loaded from there. */
const visit = async (origin: string): Promise<Told> => {
  const before = told.length
  const profile = mkdtempSync(join(directory, "profile-"))
  const browser = start(
    program("chromium"),
    [
      ...["--headless", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"],
      // It has a sandbox of its own, which root cannot use.
      ...["--no-sandbox", `--user-data-dir=${profile}`, "--remote-debugging-port=0"],
      `${origin}/?${query}`
    ],
    { what: "chromium" }
  )
  const said = await until("the page tells", () => told[before])
  await browser.stop("SIGTERM")
  return said
}

beforeAll(async () => {
  const built = await build()
  const { outputFiles } = await bundle({
    ...{ bundle: true, format: "esm", platform: "browser", target: "es2022", write: false },
    entryPoints: [join(root, "test", "fixtures", "BrowserPage.ts")]
  })
  script = outputFiles[0]?.text ?? ""
  await new Promise<void>((resolve) => pages.listen(0, resolve))
  pagePort = (pages.address() as AddressInfo).port // it listens at a port
  shop = await connectShop()
  const ports = { shop: await freePort(), down: await freePort(), chat: await freePort() }
  query = new URLSearchParams(Object.entries(ports).map(([k, v]) => [k, String(v)])).toString()
  const web = { protocol: "grpc", grpcWeb: { origins: [`http://127.0.0.1:${pagePort}`] } } as const
  a = await mesh.first("host-a", {
    ...built,
    upstreams: [
      { service: "shop", listen: `127.0.0.1:${ports.shop}`, ...web },
      { service: "down", listen: `127.0.0.1:${ports.down}`, ...web },
      { service: "chat", listen: `127.0.0.1:${ports.chat}`, protocol: "http" }
    ]
  })
  await mesh.join("host-b", {
    ...built,
    programs: { listen: sockets },
    services: [
      { name: "shop", address: `127.0.0.1:${shop.port}`, protocol: "grpc" },
      { name: "down", address: `127.0.0.1:${await freePort()}`, protocol: "grpc" }
    ]
  })
  const chat = join(root, "test", "fixtures", "SocketProgram.ts")
  start(process.execPath, [chat, "chat", "attach", sockets])
  await until("host-a knows all of them", async () => {
    const known = JSON.stringify(await a.api("services"))
    return ["shop", "down", "chat"].every((name) => known.includes(`"${name}"`)) ? true : undefined
  })
}, 300_000)

afterAll(async () => {
  await mesh.stop()
  pages.closeAllConnections()
  pages.close()
  shop?.close()
  await stopAll()
  rmSync(directory, { recursive: true, force: true })
})

describe("a page in Chromium", () => {
  it("of an origin that may call is answered, with trailers, streams and what the mesh says", async () => {
    const before = shop.cancelled
    const said = await visit(`http://127.0.0.1:${pagePort}`)
    expect(said).toEqual({
      unary: "connect: 5 euros · at the beginning · at the end",
      failing: "failed FailedPrecondition: not now",
      stream: "100, at last message 99",
      cancelled: "message 1",
      late: expect.stringMatching(/^failed DeadlineExceeded: /),
      down: expect.stringMatching(/^failed Unavailable: .*\(upstream_connect\)$/),
      socket: "grüße 4001 done"
    })
    expect(shop.seen?.headers.get("x-asks")).toBe("a page")
    await until("the program hears who has had enough", () =>
      shop.cancelled >= before + 2 ? true : undefined
    )
  })

  it("of another origin calls nobody", async () => {
    const seen = shop.seen
    const said = await visit(`http://localhost:${pagePort}`)
    for (const call of ["unary", "failing", "stream", "cancelled", "down"]) {
      expect(said[call]).toMatch(/^failed Unknown: .*fetch/i)
    }
    expect(shop.seen).toBe(seen)
    // Who may open WebSockets is the program's to decide, by `origin`.
    expect(said["socket"]).toBe("grüße 4001 done")
  })
})

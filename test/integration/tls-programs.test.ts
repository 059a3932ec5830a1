/** Programs that only speak TLS behind real nodes, called in the clear by name, as callers do. */
import { writeFileSync } from "node:fs"
import http2 from "node:http2"
import https from "node:https"
import net from "node:net"
import { join } from "node:path"
import tls from "node:tls"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { TestCa } from "../fixtures/Certificates.ts"
import { type Host, skein, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const servers: Array<net.Server> = []
const ca = new TestCa()
const made = ca.issue(["pay.test"])
let web: https.Server
let a: Host
let b: Host
let tcpPort: number
let anyPort: number
let greetPort: number

const listen = async (server: net.Server): Promise<string> => {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return `127.0.0.1:${typeof address === "object" ? address?.port : 0}`
}

const curl = async (...args: ReadonlyArray<string>): Promise<string> => {
  const { stdout } = await run(program("curl"), ["-sS", "-m", "10", "-x", b.proxy, ...args])
  return stdout
}

/** All that comes on a connection that says this. */
const said = (port: number, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let heard = ""
    const socket = net.connect(port, "127.0.0.1", () => {
      if (text !== "") socket.end(text)
    })
    socket.on("error", reject).on("end", () => resolve(heard))
    socket.on("data", (bytes) => {
      heard += bytes.toString()
      if (text === "") socket.end()
    })
  })

beforeAll(async () => {
  const caFile = join(mesh.directory, "ca.pem")
  writeFileSync(caFile, ca.cert)
  tcpPort = await freePort()
  anyPort = await freePort()
  greetPort = await freePort()
  const sealed = https.createServer(ca.issue(["sealed.mesh"]), ({ url }, response) =>
    response.end(`sealed ${url}`)
  )
  const greet = net.createServer((socket) => {
    socket.on("error", () => {})
    socket.write("220 ready\r\n")
    socket.pipe(socket)
  })
  web = https.createServer(made, (request, response) => {
    if (request.method === "POST") request.pipe(response)
    else response.end(`web ${request.url}`)
  })
  const h2 = http2.createSecureServer(made, (request, response) => {
    response.end(`h2 ${request.url} ${request.headers["x-forwarded-proto"]}`)
  })
  const echo = tls.createServer({ ...made, allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {})
    socket.pipe(socket)
  })
  const trusted = { ca: "../ca.pem", serverName: "pay.test" }
  const tcp = { tcp: { interval: "100ms" } }
  a = await mesh.first("host-a", {
    services: [
      {
        ...{ name: "web", address: await listen(web), tls: trusted },
        health: { http: { interval: "100ms" } }
      },
      { name: "h2", protocol: "http2", address: await listen(h2), tls: trusted, health: tcp },
      { name: "echo", protocol: "tcp", address: await listen(echo), tls: trusted, health: tcp },
      { name: "stranger", address: await listen(https.createServer(made)), tls: {} },
      {
        ...{ name: "either", protocol: "auto" },
        address: await listen(http2.createServer((_, response) => response.end("either")))
      },
      { name: "sealed", address: await listen(sealed), protocol: "tcp" },
      { name: "greet", address: await listen(greet), protocol: "tcp" }
    ]
  })
  b = await mesh.join("host-b", {
    upstreams: [
      { service: "echo", listen: `127.0.0.1:${tcpPort}` },
      { service: "web", listen: `127.0.0.1:${anyPort}`, protocol: "auto" },
      { service: "greet", listen: `127.0.0.1:${greetPort}`, protocol: "auto", detect: "50ms" }
    ]
  })
  await until("all are known and well", async () => {
    const rows = (await b.api("services")) as ReadonlyArray<{
      readonly endpoints: { readonly healthy: number }
    }>
    return rows.filter(({ endpoints }) => endpoints.healthy === 1).length === 7 ? true : undefined
  })
})

afterAll(async () => {
  await mesh.stop()
  for (const server of servers) server.close()
  await stopAll()
})

describe("a program that only speaks TLS", () => {
  it("is called like any other, by its checks as well", async () => {
    expect(await curl("http://web.mesh/x")).toBe("web /x")
    expect(await curl("http://h2.mesh/x")).toBe("h2 /x http")
    const body = "x".repeat(300_000)
    const posted = await run(
      program("curl"),
      ["-sS", "-m", "10", "-x", b.proxy, "--data-binary", "@-", "http://web.mesh/"],
      { input: body }
    )
    expect(posted.stdout).toBe(body)
    const { stdout } = await run(program("curl"), [
      ...["-sS", "-m", "10", "--http2-prior-knowledge", "-H", "Host: h2.mesh"],
      `http://${b.proxy}/y`
    ])
    expect(stdout).toBe("h2 /y http")
  })

  it("or of which nobody says which HTTP it speaks, is asked", async () => {
    expect(await curl("http://either.mesh/")).toBe("either")
  })

  it("is reached by bytes", async () => {
    expect(await said(tcpPort, "said")).toBe("said")
  })

  it("that nobody knows is called by nobody, and why is said", async () => {
    const said = await curl("http://stranger.mesh/")
    expect(said).toContain('"code":"upstream_connect"')
    expect(said).toContain("no CA that is known here has signed its certificate, CN=test CA")
  })

  it("is believed anew when the file of its CA has changed and is read again", async () => {
    const other = new TestCa("another CA")
    web.setSecureContext(other.issue(["pay.test"]))
    await until("the check fails", async () =>
      (await curl("http://web.mesh/")).includes("no_healthy_endpoint") ? true : undefined
    )
    writeFileSync(join(mesh.directory, "ca.pem"), "nothing")
    const refused = await skein("reload", "--admin", a.admin)
    expect(refused.code).toBe(1)
    expect(refused.stderr).toMatch(/skein\.yaml:\d+:\d+: services\[0\]\.tls\.ca: .*no certificate/)
    writeFileSync(join(mesh.directory, "ca.pem"), ca.cert + other.cert)
    const { stderr, stdout } = await skein("reload", "--admin", a.admin)
    expect(`${stdout}${stderr}`).toContain("service web changed")
    await until("it is well again", async () =>
      (await curl("http://web.mesh/z")) === "web /z" ? true : undefined
    )
    expect(await curl("http://h2.mesh/x")).toBe("h2 /x http")
  })
})

describe("a port for anything", () => {
  const direct = async (...args: ReadonlyArray<string>): Promise<string> => {
    const { stdout } = await run(program("curl"), ["-sS", "-m", "10", ...args])
    return stdout
  }

  it("takes HTTP of both versions for its service", async () => {
    const at = `http://127.0.0.1:${anyPort}/x`
    expect(await direct(at)).toBe("web /x")
    expect(await direct("--http2-prior-knowledge", at)).toBe("web /x")
  })

  it("sends TLS sealed to the service that the client asks for", async () => {
    const to = ["--cacert", join(mesh.directory, "ca.pem")]
    to.push("--connect-to", `::127.0.0.1:${anyPort}`)
    expect(await direct(...to, "https://sealed.mesh/x")).toBe("sealed /x")
  })

  it("lets a server speak first, and carries what the client says", async () => {
    expect(await said(greetPort, "")).toBe("220 ready\r\n")
    expect(await said(greetPort, "*1\r\n")).toBe("220 ready\r\n*1\r\n")
  })
})

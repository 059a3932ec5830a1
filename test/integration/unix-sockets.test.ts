/** Programs that listen at a unix socket and open no port: HTTP, upgrades and bytes through the mesh. */
import { statSync } from "node:fs"
import http from "node:http"
import net from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Host, TestMesh } from "../fixtures/Mesh.ts"
import { freePort, run, stopAll, until } from "../fixtures/Processes.ts"
import { program } from "../fixtures/Programs.ts"

const mesh = new TestMesh()
const servers: Array<net.Server> = []
let directory: string
let b: Host
let tcpPort: number

const at = (name: string): string => join(directory, name)
const listen = async (server: net.Server, name: string): Promise<net.Server> => {
  servers.push(server)
  await new Promise<void>((resolve) => server.listen({ path: at(name) }, resolve))
  return server
}
const web = () =>
  http
    .createServer((request, response) => {
      if (request.url === "/torn") {
        response.write("some of it", () => request.socket.destroy())
      } else if (request.method === "POST") request.pipe(response)
      else response.end(`web ${request.url}`)
    })
    .on("upgrade", (_, socket) => {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
      )
      socket.pipe(socket)
    })

const curl = async (...args: ReadonlyArray<string>) => {
  const { code, stdout } = await run(program("curl"), ["-sS", "-m", "10", "-x", b.proxy, ...args])
  return { code, stdout }
}

beforeAll(async () => {
  const scratch = await mesh.first("scratch")
  directory = scratch.directory
  tcpPort = await freePort()
  await listen(web(), "web.sock")
  await listen(
    net.createServer({ allowHalfOpen: true }, (socket) => {
      socket.on("error", () => {})
      socket.pipe(socket)
    }),
    "echo.sock"
  )
  const health = { http: { path: "/well", interval: "100ms" } }
  await mesh.join("host-a", {
    services: [
      { name: "web", address: `unix:${at("web.sock")}`, health },
      { name: "echo", protocol: "tcp", address: `unix:${at("echo.sock")}`, health: { tcp: {} } },
      { name: "absent", address: `unix:${at("absent.sock")}` }
    ]
  })
  b = await mesh.join("host-b", {
    upstreams: [
      { service: "echo", listen: `127.0.0.1:${tcpPort}` },
      { service: "web", listen: `unix:${at("up.sock")}`, protocol: "http", mode: "0666" },
      { service: "echo", listen: `unix:${at("up-echo.sock")}` }
    ]
  })
  await until("web and echo are well", async () => {
    const rows = (await b.api("services")) as ReadonlyArray<{
      readonly name: string
      readonly endpoints: { readonly healthy: number }
    }>
    const well = rows.filter(({ endpoints }) => endpoints.healthy === 1).map(({ name }) => name)
    return well.includes("web") && well.includes("echo") ? true : undefined
  })
})

afterAll(async () => {
  await mesh.stop()
  for (const server of servers) server.close()
  await stopAll()
})

describe("a program at a unix socket", () => {
  it("is called like any other", async () => {
    expect((await curl("http://web.mesh/x")).stdout).toBe("web /x")
    const body = "x".repeat(300_000)
    const posted = await run(
      program("curl"),
      ["-sS", "-m", "10", "-x", b.proxy, "--data-binary", "@-", "http://web.mesh/"],
      { input: body }
    )
    expect(posted.stdout).toBe(body)
    expect(JSON.stringify(await b.api("services/web/endpoints"))).toContain(
      `"endpoint":"unix:${at("web.sock")}"`.slice(0, 40)
    )
  })

  it("is reached from a unix socket as well, by both versions of HTTP", async () => {
    for (const version of ["--http1.1", "--http2-prior-knowledge"]) {
      const { stdout } = await run(program("curl"), [
        ...["-sS", "-m", "10", version, "--unix-socket", at("up.sock"), "http://localhost/x"]
      ])
      expect(stdout).toBe("web /x")
    }
    expect(statSync(at("up.sock")).mode & 0o777).toBe(0o666)
    expect(statSync(at("up-echo.sock")).mode & 0o777).toBe(0o600)
  })

  it("that breaks off is seen to have", async () => {
    expect(await curl("http://web.mesh/torn")).toMatchObject({ stdout: "some of it" })
    expect((await curl("http://web.mesh/torn")).code).not.toBe(0)
  })

  it("carries upgrades and bytes, both ways and half-closed", async () => {
    const exchange = (
      to: { readonly port: number } | { readonly path: string },
      ...said: ReadonlyArray<string>
    ) =>
      new Promise<string>((resolve, reject) => {
        let heard = ""
        const socket = net.connect({ ...to, allowHalfOpen: true }, () => {
          for (const part of said) socket.write(part)
          socket.end()
        })
        socket.on("data", (bytes) => {
          heard += bytes.toString()
        })
        socket.on("end", () => resolve(heard)).on("error", reject)
      })
    expect(await exchange({ port: tcpPort }, "all ", "of it")).toBe("all of it")
    expect(await exchange({ path: at("up-echo.sock") }, "all ", "of it")).toBe("all of it")
    const proxy = Number(b.proxy.split(":")[1])
    const upgraded = await new Promise<string>((resolve, reject) => {
      let heard = ""
      const socket = net.connect(proxy, "127.0.0.1", () =>
        socket.write(
          "GET / HTTP/1.1\r\nHost: web.mesh\r\nUpgrade: echo\r\nConnection: upgrade\r\n\r\n"
        )
      )
      socket.on("data", (bytes) => {
        heard += bytes.toString()
        if (heard.endsWith("\r\n\r\n")) socket.write("hello")
        if (heard.endsWith("hello")) socket.destroy()
      })
      socket.on("close", () => resolve(heard)).on("error", reject)
    })
    expect(upgraded).toMatch(/^HTTP\/1\.1 101 .*hello$/s)
  })

  it("that is not there is said to be", async () => {
    const { stdout } = await curl("http://absent.mesh/")
    expect(stdout).toContain(`at unix:${at("absent.sock")}`)
    expect(stdout).toContain("there is no such socket")
  })

  it("gets no calls while its check fails", async () => {
    const [first] = servers
    await new Promise((resolve) => first?.close(resolve))
    await until("it is unhealthy", async () => {
      const { stdout } = await curl("http://web.mesh/x")
      return stdout.includes("no_healthy_endpoint") ? true : undefined
    })
    await listen(web(), "web.sock")
    await until("it is well again", async () =>
      (await curl("http://web.mesh/x")).stdout === "web /x" ? true : undefined
    )
  })
})

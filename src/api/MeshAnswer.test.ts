import { describe, expect, it } from "vitest"
import { responseHead } from "../testing/ScriptedCallee.ts"
import { MeshAnswer } from "./MeshAnswer.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)

const streamOf = (...chunks: ReadonlyArray<Uint8Array>): ReadableStream<Uint8Array> =>
  new ReadableStream({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(chunk)
      controller.close()
    }
  })

const answer = (body: ReadableStream<Uint8Array> | null, ...fields: ReadonlyArray<string>) =>
  new MeshAnswer(responseHead(200, fields), body)

describe("an answer of the mesh", () => {
  it("has its fields as a web Response has them", () => {
    const fields = [
      "Vary",
      "a",
      "set-cookie",
      "x=1",
      "vary",
      "b",
      "Set-Cookie",
      "y=2",
      "x-name",
      "é"
    ]
    const { headers, web } = answer(null, ...fields)
    for (const name of ["vary", "x-name", "x-none"]) {
      expect(headers.get(name)).toBe(web.headers.get(name))
    }
    expect(headers.get("vary")).toBe("a, b")
    expect(headers.getSetCookie()).toEqual(web.headers.getSetCookie())
    expect([...headers].sort()).toEqual([...web.headers].sort())
  })

  it("is read as one is, wherever it is cut", async () => {
    const text = "\ufeffprice: 7 €"
    const whole = bytes(text)
    const parts = () => streamOf(whole.subarray(0, 14), whole.subarray(14))
    expect(await answer(parts()).text()).toBe("price: 7 €")
    expect(await answer(parts()).text()).toBe(await new Response(parts()).text())
    expect(new Uint8Array(await answer(parts()).arrayBuffer())).toEqual(whole)
    expect(await answer(null).text()).toBe("")
    expect((await answer(null).arrayBuffer()).byteLength).toBe(0)
  })

  it("has forms as the platform reads them", async () => {
    const body = streamOf(bytes("amount=7&to=bob"))
    const form = await answer(body, "content-type", "application/x-www-form-urlencoded").formData()
    expect([...form]).toEqual([
      ["amount", "7"],
      ["to", "bob"]
    ])
  })

  it("is read once, and who comes later is told", async () => {
    const read = answer(streamOf(bytes("once")))
    expect(await read.text()).toBe("once")
    await expect(read.text()).rejects.toThrow(TypeError)
  })

  it("breaks off as its body does", async () => {
    const broken = new Error("broken off")
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.error(broken)
    })
    await expect(answer(body).text()).rejects.toBe(broken)
  })
})

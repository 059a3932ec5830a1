/**
 * The tables of HPACK (RFC 7541 §2.3): the static one, and one for each direction of a connection,
 * which both sides change in step.
 */

/** One field, as tables hold it. */
export class HpackField {
  readonly name: string
  readonly value: string
  /** Whether it may stand in a message, found out once (HeadFields.ts); undefined: not yet. */
  fault: string | false | undefined = undefined

  constructor(name: string, value: string) {
    this.name = name
    this.value = value
  }

  /** As it counts against the limits of tables and of header lists (§4.1). */
  get size(): number {
    return this.name.length + this.value.length + 32
  }
}

const names =
  ":authority :method=GET :method=POST :path=/ :path=/index.html :scheme=http :scheme=https " +
  ":status=200 :status=204 :status=206 :status=304 :status=400 :status=404 :status=500 " +
  "accept-charset accept-encoding=gzip,_deflate accept-language accept-ranges accept " +
  "access-control-allow-origin age allow authorization cache-control content-disposition " +
  "content-encoding content-language content-length content-location content-range content-type " +
  "cookie date etag expect expires from host if-match if-modified-since if-none-match if-range " +
  "if-unmodified-since last-modified link location max-forwards proxy-authenticate " +
  "proxy-authorization range referer refresh retry-after server set-cookie " +
  "strict-transport-security transfer-encoding user-agent vary via www-authenticate"

/** Numbers 1 to 61 are at 0 to 60 (Appendix A). */
export const staticTable: ReadonlyArray<HpackField> = names.split(" ").map((text) => {
  const [name = "", value = ""] = text.split("=")
  return new HpackField(name, value.replace("_", " "))
})

/** A ring: the newest has the lowest number, and the oldest makes room. */
export class DynamicTable {
  #ring: Array<HpackField | undefined> = new Array(16)
  /** Fields ever put in; where the next one goes, when taken by the ring's length. */
  inserted = 0
  count = 0
  size = 0
  #capacity: number
  /** Changes whenever a number may mean another field than before. */
  generation = 0
  /** Told of each that leaves, oldest first. */
  onEvicted: ((field: HpackField, order: number) => void) | undefined = undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get capacity(): number {
    return this.#capacity
  }

  /** The field `number` behind the newest (0). */
  at(number: number): HpackField | undefined {
    if (number >= this.count) return undefined
    return this.#ring[(this.inserted - 1 - number) & (this.#ring.length - 1)]
  }

  /** One that is larger than the whole table empties it (§4.4). */
  insert(field: HpackField): void {
    this.generation++
    const { size } = field
    this.#evict(this.#capacity - size)
    if (size > this.#capacity) return
    if (this.count === this.#ring.length) this.#grow()
    this.#ring[this.inserted & (this.#ring.length - 1)] = field
    this.inserted++
    this.count++
    this.size += size
  }

  resize(capacity: number): void {
    this.#capacity = capacity
    if (this.size > capacity) this.generation++
    this.#evict(capacity)
  }

  #evict(most: number): void {
    while (this.size > most && this.count > 0) {
      const order = this.inserted - this.count
      const index = order & (this.#ring.length - 1)
      const oldest = this.#ring[index]!
      this.#ring[index] = undefined
      this.count--
      this.size -= oldest.size
      this.onEvicted?.(oldest, order)
    }
  }

  #grow(): void {
    const ring = new Array<HpackField | undefined>(this.#ring.length * 2)
    for (let order = this.inserted - this.count; order < this.inserted; order++) {
      ring[order & (ring.length - 1)] = this.#ring[order & (this.#ring.length - 1)]
    }
    this.#ring = ring
  }
}

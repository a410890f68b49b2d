export function AboutView() {
  return <h1 className="text-2xl font-extrabold">About</h1>;
}

export function CreateView() {
  return <h1 className="text-2xl font-extrabold">Your photo, captioned</h1>;
}

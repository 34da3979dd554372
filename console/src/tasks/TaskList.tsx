export default function TaskList() {
  return null;
}

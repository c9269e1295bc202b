package localetest

import (
	"fmt"
	"os"
	"strings"
	"text/template/parse"
)

// inPage reads one template file. Its functions need not be known here.
func inPage(path string) ([]Use, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	tree := parse.New(path)
	tree.Mode = parse.SkipFuncCheck
	all := map[string]*parse.Tree{}
	if _, err := tree.Parse(string(text), "{{", "}}", all); err != nil {
		return nil, fmt.Errorf("look for texts: %w", err)
	}
	var uses []Use
	for _, t := range all {
		walk(t.Root, func(c *parse.CommandNode) {
			if use, ok := commanded(c); ok {
				line := 1 + strings.Count(string(text[:min(int(c.Pos), len(text))]), "\n")
				use.Place = fmt.Sprintf("%s:%d", path, line)
				uses = append(uses, use)
			}
		})
	}
	return uses, nil
}

// walk visits every command of a template, however deep.
func walk(n parse.Node, visit func(*parse.CommandNode)) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return
		}
		for _, inner := range n.Nodes {
			walk(inner, visit)
		}
	case *parse.ActionNode:
		walk(n.Pipe, visit)
	case *parse.IfNode:
		branch(&n.BranchNode, visit)
	case *parse.RangeNode:
		branch(&n.BranchNode, visit)
	case *parse.WithNode:
		branch(&n.BranchNode, visit)
	case *parse.TemplateNode:
		walk(n.Pipe, visit)
	case *parse.PipeNode:
		if n == nil {
			return
		}
		for _, command := range n.Cmds {
			visit(command)
			for _, arg := range command.Args {
				walk(arg, visit)
			}
		}
	}
}

func branch(n *parse.BranchNode, visit func(*parse.CommandNode)) {
	walk(n.Pipe, visit)
	walk(n.List, visit)
	walk(n.ElseList, visit)
}

// commanded says whether a command is T or plural with a key.
func commanded(c *parse.CommandNode) (Use, bool) {
	if len(c.Args) < 2 {
		return Use{}, false
	}
	name := last(c.Args[0])
	use := Use{Plural: strings.EqualFold(name, "plural")}
	if name != "T" && !use.Plural {
		return Use{}, false
	}
	switch key := c.Args[1].(type) {
	case *parse.StringNode:
		use.Key = key.Text
	case *parse.PipeNode: // (printf "role.%s" .Word)
		use.Key, use.Prefix = formatted(key)
	}
	rest := c.Args[2:]
	if use.Plural && len(rest) > 0 {
		rest = rest[1:] // the number
	}
	use.Names = pageNames(rest)
	return use, use.Key != ""
}

// last gives the word a function is called by: T, .T and $.Lang.T are all T.
func last(n parse.Node) string {
	text := n.String()
	return text[strings.LastIndexByte(text, '.')+1:]
}

func formatted(p *parse.PipeNode) (prefix string, ok bool) {
	if len(p.Cmds) != 1 || len(p.Cmds[0].Args) < 2 || p.Cmds[0].Args[0].String() != "printf" {
		return "", false
	}
	format, ok := p.Cmds[0].Args[1].(*parse.StringNode)
	if !ok {
		return "", false
	}
	prefix, _, _ = strings.Cut(format.Text, "%")
	return prefix, true
}

func pageNames(args []parse.Node) []string {
	names := []string{}
	for i := 0; i < len(args); i += 2 {
		name, ok := args[i].(*parse.StringNode)
		if !ok {
			return nil
		}
		names = append(names, name.Text)
	}
	return names
}
